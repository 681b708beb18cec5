-- Customers who have not said that they want e-mails.
SELECT
  id AS user_id,
  CAST(NULL AS STRING) AS email,
  'no consent' AS reason,
  CAST(NULL AS DATE) AS since
FROM thelook_ecommerce.users
WHERE NOT COALESCE(marketing_consent, FALSE)
