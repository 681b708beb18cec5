-- The largest audience_hash among the first @customers prompts in @languages.
WITH picked AS (
  SELECT audience_hash
  FROM persona.final_prompts
  WHERE language IN UNNEST(@languages) AND NOT holdout
  ORDER BY audience_hash
  LIMIT @customers
)

SELECT MAX(audience_hash) AS cutoff FROM picked
