-- Prompts that hold the customer's address.
SELECT user_id, prompt_hash
FROM persona.final_prompts
WHERE STRPOS(LOWER(prompt), LOWER(email)) > 0
