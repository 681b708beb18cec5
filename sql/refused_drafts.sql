-- How many prompts of a language have no accepted draft, by what was wrong with the newest one.
WITH newest AS (
  SELECT prompt_hash, status, ARRAY_TO_STRING(problems, ', ') AS reason
  FROM persona.drafts
  WHERE writer = @writer
  QUALIFY ROW_NUMBER() OVER (PARTITION BY prompt_hash ORDER BY attempt DESC) = 1
)

SELECT n.reason, COUNT(*) AS customers
FROM persona.final_prompts AS p
JOIN newest AS n ON n.prompt_hash = p.prompt_hash
WHERE p.language = @language AND p.audience_hash <= @cutoff AND n.status = 'rejected'
GROUP BY n.reason
ORDER BY customers DESC, n.reason
