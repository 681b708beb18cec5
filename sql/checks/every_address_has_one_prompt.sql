-- Addresses with several prompts, of which each would make an e-mail.
SELECT MIN(user_id) AS user_id, LOWER(email) AS email, COUNT(*) AS prompts
FROM persona.final_prompts
GROUP BY LOWER(email)
HAVING COUNT(*) > 1
