-- One row of behaviour per customer on the day @as_of. Orders whose status is in
-- @excluded_statuses, and anything after @as_of, count nowhere.
WITH trimmed_users AS (
  SELECT
    id,
    REGEXP_REPLACE(first_name, r'^[\s\p{Z}]+|[\s\p{Z}]+$', '') AS first_name,
    REGEXP_REPLACE(email, r'^[\s\p{Z}]+|[\s\p{Z}]+$', '') AS email,
    REGEXP_REPLACE(country, r'^[\s\p{Z}]+|[\s\p{Z}]+$', '') AS country
  FROM thelook_ecommerce.users
),

trimmed_products AS (
  SELECT id, REGEXP_REPLACE(name, r'^[\s\p{Z}]+|[\s\p{Z}]+$', '') AS name
  FROM thelook_ecommerce.products
),

customers AS (
  SELECT
    u.id AS user_id,
    NULLIF(u.first_name, '') AS first_name,
    NULLIF(u.email, '') AS email,
    COALESCE(c.country, NULLIF(u.country, '')) AS country,
    c.territory,
    COALESCE(c.language, 'en') AS language
  FROM trimmed_users AS u
  LEFT JOIN persona.countries AS c ON c.spelling = LOWER(u.country)
),

kept_orders AS (
  SELECT order_id, user_id, DATE(created_at) AS ordered_on
  FROM thelook_ecommerce.orders
  WHERE COALESCE(status, '') NOT IN UNNEST(@excluded_statuses)
    AND DATE(created_at) <= @as_of
),

lines AS (
  SELECT o.order_id, o.user_id, i.sale_price, NULLIF(p.name, '') AS product
  FROM kept_orders AS o
  JOIN thelook_ecommerce.order_items AS i ON i.order_id = o.order_id
  LEFT JOIN trimmed_products AS p ON p.id = i.product_id
),

orders_of_customer AS (
  SELECT
    user_id,
    COUNT(order_id) AS total_orders,
    MIN(ordered_on) AS first_order_date,
    MAX(ordered_on) AS last_order_date
  FROM kept_orders
  GROUP BY user_id
),

-- Rounded, because floating-point sums differ in the last digit with the order of the rows.
revenue_of_customer AS (
  SELECT user_id, ROUND(SUM(COALESCE(sale_price, 0)), 6) AS total_revenue
  FROM lines
  GROUP BY user_id
),

products_of_customer AS (
  SELECT user_id, product, COUNT(*) AS pieces
  FROM lines
  WHERE product IS NOT NULL
  GROUP BY user_id, product
),

ranked_products_of_customer AS (
  SELECT
    user_id,
    product,
    ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY pieces DESC, product) AS place
  FROM products_of_customer
),

top_products_of_customer AS (
  SELECT user_id, ARRAY_AGG(product ORDER BY place) AS products
  FROM ranked_products_of_customer
  WHERE place <= 3
  GROUP BY user_id
),

products_of_country AS (
  SELECT c.country, l.product, COUNT(*) AS pieces
  FROM lines AS l
  JOIN customers AS c ON c.user_id = l.user_id
  WHERE l.product IS NOT NULL AND c.country IS NOT NULL
  GROUP BY c.country, l.product
),

ranked_products_of_country AS (
  SELECT
    country,
    product,
    ROW_NUMBER() OVER (PARTITION BY country ORDER BY pieces DESC, product) AS place
  FROM products_of_country
),

top_products_of_country AS (
  SELECT country, ARRAY_AGG(product ORDER BY place) AS products
  FROM ranked_products_of_country
  WHERE place <= 3
  GROUP BY country
),

last_events AS (
  SELECT user_id, event_type
  FROM thelook_ecommerce.events
  WHERE user_id IS NOT NULL
    AND DATE(created_at) <= @as_of
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY user_id ORDER BY created_at DESC, sequence_number DESC, id DESC
  ) = 1
),

measured AS (
  SELECT
    user_id,
    total_orders,
    first_order_date,
    last_order_date,
    DATE_DIFF(@as_of, last_order_date, DAY) / 30.44 AS months_since_last_order,
    total_orders / GREATEST(DATE_DIFF(@as_of, first_order_date, DAY) / 30.44, 1.0)
      AS freq_orders_per_month
  FROM orders_of_customer
)

SELECT
  c.user_id,
  c.first_name,
  c.email,
  c.country,
  c.territory,
  c.language,
  COALESCE(m.total_orders, 0) AS total_orders,
  COALESCE(r.total_revenue, 0.0) / NULLIF(m.total_orders, 0) AS avg_basket,
  COALESCE(r.total_revenue, 0.0) AS total_revenue,
  tu.products AS top_products_user,
  e.event_type AS last_event,
  tc.products AS top_products_country,
  m.first_order_date,
  m.last_order_date,
  m.months_since_last_order,
  COALESCE(m.freq_orders_per_month, 0.0) AS freq_orders_per_month,
  COALESCE(m.freq_orders_per_month, 0.0) * 3 AS freq_orders_per_quarter,
  @as_of AS as_of
FROM customers AS c
LEFT JOIN measured AS m ON m.user_id = c.user_id
LEFT JOIN revenue_of_customer AS r ON r.user_id = c.user_id
LEFT JOIN top_products_of_customer AS tu ON tu.user_id = c.user_id
LEFT JOIN last_events AS e ON e.user_id = c.user_id
LEFT JOIN top_products_of_country AS tc ON tc.country = c.country
