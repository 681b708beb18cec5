-- The newest orders of each of @user_ids, kept and left out, with what was in them.
WITH newest AS (
  SELECT user_id, order_id, status, created_at
  FROM thelook_ecommerce.orders
  WHERE user_id IN UNNEST(@user_ids)
  QUALIFY ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY created_at DESC, order_id DESC) <= @rows
)

SELECT
  o.user_id,
  o.order_id,
  o.created_at,
  o.status,
  COALESCE(o.status, '') NOT IN UNNEST(@excluded_statuses) AND DATE(o.created_at) <= @as_of
    AS counted,
  SUM(i.sale_price) AS revenue,
  STRING_AGG(p.name, '; ' ORDER BY p.name) AS products
FROM newest AS o
LEFT JOIN thelook_ecommerce.order_items AS i ON i.order_id = o.order_id
LEFT JOIN thelook_ecommerce.products AS p ON p.id = i.product_id
GROUP BY o.user_id, o.order_id, o.created_at, o.status
ORDER BY o.user_id, o.created_at DESC, o.order_id DESC
