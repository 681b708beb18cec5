-- Customers with this id or this address.
SELECT user_id
FROM persona.parametric
WHERE CAST(user_id AS STRING) = @who OR LOWER(email) = LOWER(@who)
ORDER BY user_id
