-- Every segment as it is now: its size and the mean numbers of its customers.
SELECT
  s.segment,
  l.segment_label,
  l.designation,
  MAX(p.as_of) AS as_of,
  COUNT(*) AS customers,
  AVG(p.total_orders) AS total_orders,
  AVG(p.avg_basket) AS avg_basket,
  AVG(p.total_revenue) AS total_revenue,
  AVG(p.months_since_last_order) AS months_since_last_order,
  AVG(p.freq_orders_per_month) AS freq_orders_per_month
FROM persona.customer_segments AS s
JOIN persona.parametric AS p ON p.user_id = s.user_id
LEFT JOIN persona.segment_labels AS l ON l.segment = s.segment
GROUP BY s.segment, l.segment_label, l.designation
ORDER BY total_revenue DESC, s.segment
