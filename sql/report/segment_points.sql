-- Up to @customers buyers, the same ones every time, with their numbers and their segment.
SELECT
  s.segment,
  l.segment_label,
  p.user_id,
  p.total_orders,
  p.avg_basket,
  p.total_revenue,
  p.months_since_last_order,
  p.freq_orders_per_month
FROM persona.customer_segments AS s
JOIN persona.parametric AS p ON p.user_id = s.user_id
JOIN persona.segment_labels AS l ON l.segment = s.segment
WHERE p.total_orders > 0
ORDER BY TO_HEX(MD5(CAST(p.user_id AS STRING))), p.user_id
LIMIT @customers
