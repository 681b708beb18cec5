-- Labels that say something about customers which the numbers of the segment do not bear out.
WITH average AS (
  SELECT SUM(total_revenue * customers) / SUM(customers) AS revenue FROM persona.centroids
),

said AS (
  SELECT l.segment, l.segment_label, LOWER(l.segment_label) AS label
  FROM persona.segment_labels AS l
)

SELECT
  s.segment,
  s.segment_label,
  c.months_since_last_order,
  c.total_orders,
  c.total_revenue,
  a.revenue AS average_revenue
FROM said AS s
LEFT JOIN persona.centroids AS c ON c.segment = s.segment
LEFT JOIN average AS a ON TRUE
WHERE
  (
    REGEXP_CONTAINS(s.label, r'\b(recent|active)')
    AND COALESCE(c.months_since_last_order, 1e9) > @recent_months
  )
  OR (
    REGEXP_CONTAINS(s.label, r'\b(dormant|inactive|churned|long gone)')
    AND COALESCE(c.months_since_last_order, 0) <= @recent_months
  )
  OR (
    REGEXP_CONTAINS(s.label, r'\b(loyal|regular|repeat|frequent)')
    AND COALESCE(c.total_orders, 0) < @repeat_orders
  )
  OR (
    REGEXP_CONTAINS(s.label, r'\b(high[- ]value|vip|big spend|premium)')
    AND COALESCE(c.total_revenue, 0) < COALESCE(a.revenue, 0)
  )
  OR (
    REGEXP_CONTAINS(s.label, r'\blow[- ]value')
    AND COALESCE(c.total_revenue, 0) > COALESCE(a.revenue, 0)
  )
  OR (
    REGEXP_CONTAINS(s.label, r'\bnew\b')
    AND c.segment IS NOT NULL
    AND (c.months_since_last_order > @recent_months OR c.total_orders >= @repeat_orders)
  )
  OR (
    s.segment = 'prospects'
    AND REGEXP_CONTAINS(s.label, r'\b(buyer|customer|regular|repeat|one-time)')
  )
