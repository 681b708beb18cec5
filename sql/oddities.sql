-- What is unusual in the source and normal in shops: how many rows of each kind, with an example.
WITH people AS (
  SELECT
    REGEXP_REPLACE(first_name, r'^[\s\p{Z}]+|[\s\p{Z}]+$', '') AS first_name,
    REGEXP_REPLACE(email, r'^[\s\p{Z}]+|[\s\p{Z}]+$', '') AS email,
    REGEXP_REPLACE(country, r'^[\s\p{Z}]+|[\s\p{Z}]+$', '') AS country
  FROM thelook_ecommerce.users
),

catalogue AS (
  SELECT id, REGEXP_REPLACE(name, r'^[\s\p{Z}]+|[\s\p{Z}]+$', '') AS name
  FROM thelook_ecommerce.products
),

spelled AS (
  SELECT NULLIF(u.country, '') AS given, c.country, c.language_is_official
  FROM people AS u
  LEFT JOIN persona.countries AS c ON c.spelling = LOWER(u.country)
),

addresses AS (
  SELECT LOWER(email) AS address, COUNT(*) AS customers
  FROM people
  WHERE email <> ''
  GROUP BY LOWER(email)
),

found AS (
  SELECT
    1 AS place,
    'customers without a usable address (no e-mail)' AS oddity,
    COUNT(*) AS amount,
    CAST(NULL AS STRING) AS example
  FROM people
  WHERE NOT REGEXP_CONTAINS(COALESCE(email, ''), r'^[^@\s\p{C}\p{Z}]+@[^@\s\p{C}\p{Z}]+$')
  UNION ALL
  SELECT 2, 'customers who share an address with another', COALESCE(SUM(customers), 0), NULL
  FROM addresses
  WHERE customers > 1
  UNION ALL
  SELECT 3, 'customers without a first name', COUNT(*), NULL
  FROM people
  WHERE COALESCE(first_name, '') = ''
  UNION ALL
  SELECT 4, 'customers without a country (English)', COUNT(*), NULL
  FROM spelled
  WHERE given IS NULL
  UNION ALL
  SELECT
    5,
    'customers in an unknown country (English)',
    COUNT(*),
    (
      SELECT STRING_AGG(given, ', ' ORDER BY given)
      FROM (SELECT DISTINCT given FROM spelled WHERE given IS NOT NULL AND country IS NULL)
    )
  FROM spelled
  WHERE given IS NOT NULL AND country IS NULL
  UNION ALL
  SELECT
    6,
    'customers in a country without one of the nine languages (English)',
    COUNT(*),
    (
      SELECT STRING_AGG(country, ', ' ORDER BY country)
      FROM (SELECT DISTINCT country FROM spelled WHERE NOT language_is_official)
    )
  FROM spelled
  WHERE NOT language_is_official
  UNION ALL
  SELECT
    7,
    'customers whose country is spelled another way',
    COUNT(*),
    (
      SELECT STRING_AGG(given, ', ' ORDER BY given)
      FROM (SELECT DISTINCT given FROM spelled WHERE LOWER(given) <> LOWER(country))
    )
  FROM spelled
  WHERE LOWER(given) <> LOWER(country)
  UNION ALL
  SELECT 8, 'orders without items', COUNT(*), CAST(MIN(o.order_id) AS STRING)
  FROM thelook_ecommerce.orders AS o
  LEFT JOIN (SELECT DISTINCT order_id FROM thelook_ecommerce.order_items) AS i
    ON i.order_id = o.order_id
  WHERE i.order_id IS NULL
  UNION ALL
  SELECT 9, 'orders of an unknown customer', COUNT(*), CAST(MIN(o.order_id) AS STRING)
  FROM thelook_ecommerce.orders AS o
  LEFT JOIN thelook_ecommerce.users AS u ON u.id = o.user_id
  WHERE u.id IS NULL
  UNION ALL
  SELECT 10, 'items without a product in the catalogue', COUNT(*), CAST(MIN(i.id) AS STRING)
  FROM thelook_ecommerce.order_items AS i
  LEFT JOIN thelook_ecommerce.products AS p ON p.id = i.product_id
  WHERE p.id IS NULL
  UNION ALL
  SELECT 11, 'products without a name (left out)', COUNT(*), CAST(MIN(id) AS STRING)
  FROM catalogue
  WHERE COALESCE(name, '') = ''
  UNION ALL
  SELECT 12, 'events of anonymous visitors', COUNT(*), NULL
  FROM thelook_ecommerce.events
  WHERE user_id IS NULL
  UNION ALL
  SELECT 13, 'events of an unknown customer', COUNT(*), CAST(MIN(e.id) AS STRING)
  FROM thelook_ecommerce.events AS e
  LEFT JOIN thelook_ecommerce.users AS u ON u.id = e.user_id
  WHERE e.user_id IS NOT NULL AND u.id IS NULL
)

SELECT oddity, amount, example FROM found WHERE amount > 0 ORDER BY place
