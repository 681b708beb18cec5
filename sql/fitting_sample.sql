-- The features of up to @customers buyers, the same ones every time.
SELECT
  user_id,
  total_orders,
  avg_basket,
  total_revenue,
  months_since_last_order,
  freq_orders_per_month
FROM persona.parametric
WHERE total_orders > 0
ORDER BY TO_HEX(MD5(CAST(user_id AS STRING))), user_id
LIMIT @customers
