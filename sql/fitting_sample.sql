-- The numbers of up to @customers buyers, the same ones every time: those with the smallest hashes.
-- @cutoff is a hash that few more than that are below, so that only these are sorted.
SELECT
  user_id,
  total_orders,
  avg_basket,
  total_revenue,
  months_since_last_order,
  freq_orders_per_month
FROM persona.parametric
WHERE total_orders > 0
  AND TO_HEX(MD5(CAST(user_id AS STRING))) < @cutoff
ORDER BY TO_HEX(MD5(CAST(user_id AS STRING))), user_id
LIMIT @customers
