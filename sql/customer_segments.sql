-- Every buyer in the segment with the smallest linear score; everyone else a prospect.
WITH scores AS (
  SELECT
    p.user_id,
    c.segment,
    c.segmentation_run,
    c.intercept
      + c.weight_total_orders * LN(1 + p.total_orders)
      + c.weight_avg_basket * LN(1 + GREATEST(p.avg_basket, 0))
      + c.weight_total_revenue * LN(1 + GREATEST(p.total_revenue, 0))
      + c.weight_months_since_last_order * LN(1 + p.months_since_last_order)
      + c.weight_freq_orders_per_month * LN(1 + p.freq_orders_per_month) AS score
  FROM persona.parametric AS p
  CROSS JOIN persona.centroids AS c
  WHERE p.total_orders > 0
),

nearest AS (
  SELECT user_id, segment, segmentation_run
  FROM scores
  QUALIFY ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY score, segment) = 1
)

SELECT p.user_id, COALESCE(n.segment, 'prospects') AS segment, n.segmentation_run
FROM persona.parametric AS p
LEFT JOIN nearest AS n ON n.user_id = p.user_id
