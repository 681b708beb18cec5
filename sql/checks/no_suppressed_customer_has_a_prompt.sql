-- Prompts of customers whose id or address is on the suppression list.
WITH ids AS (
  SELECT user_id, MIN(reason) AS reason
  FROM persona.suppression_list
  WHERE user_id IS NOT NULL
  GROUP BY user_id
),

addresses AS (
  SELECT LOWER(email) AS address, MIN(reason) AS reason
  FROM persona.suppression_list
  WHERE email IS NOT NULL
  GROUP BY LOWER(email)
)

SELECT p.user_id, COALESCE(i.reason, a.reason) AS reason
FROM persona.final_prompts AS p
LEFT JOIN ids AS i ON i.user_id = p.user_id
LEFT JOIN addresses AS a ON a.address = LOWER(p.email)
WHERE i.user_id IS NOT NULL OR a.address IS NOT NULL
