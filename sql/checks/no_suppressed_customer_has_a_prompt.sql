-- Prompts of customers whose id or address is on the suppression list.
SELECT p.user_id, l.reason
FROM persona.final_prompts AS p
JOIN persona.suppression_list AS l ON l.user_id = p.user_id
UNION ALL
SELECT p.user_id, l.reason
FROM persona.final_prompts AS p
JOIN persona.suppression_list AS l ON LOWER(l.email) = LOWER(p.email)
