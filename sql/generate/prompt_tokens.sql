-- Tokens that the model at @endpoint reads per character of prompt, with the @instructions before
-- it, over @prompts of the different prompts in a @language. Counting them asks no model.
WITH counted AS (
  SELECT
    CHAR_LENGTH(prompt) AS characters,
    AI.COUNT_TOKENS(CONCAT(@instructions, prompt), endpoint => @endpoint).result AS tokens
  FROM (
    SELECT DISTINCT prompt_hash, prompt
    FROM persona.final_prompts
    WHERE language = @language
    ORDER BY prompt_hash
    LIMIT @prompts
  )
)

SELECT SUM(tokens) / SUM(characters) AS tokens_per_character
FROM counted
WHERE tokens IS NOT NULL
