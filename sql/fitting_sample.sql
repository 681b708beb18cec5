-- The numbers of up to @customers buyers, the same ones every time: those with the smallest hashes.
-- @cutoff is a hash that few more than that are below, so that only these are sorted.
WITH hashed AS (
  SELECT
    user_id,
    total_orders,
    avg_basket,
    total_revenue,
    months_since_last_order,
    freq_orders_per_month,
    TO_HEX(MD5(CAST(user_id AS STRING))) AS hash
  FROM persona.parametric
  WHERE total_orders > 0
)

SELECT
  user_id,
  total_orders,
  avg_basket,
  total_revenue,
  months_since_last_order,
  freq_orders_per_month
FROM hashed
WHERE hash < @cutoff
ORDER BY hash, user_id
LIMIT @customers
