-- What pending_prompts would give in each of @languages: calls and characters of prompt, and what
-- the earlier drafts of @writer in the language took, per character and per call.
WITH settled AS (
  SELECT DISTINCT prompt_hash
  FROM persona.drafts
  WHERE language IN UNNEST(@languages) AND writer = @writer AND status = 'accepted'
),

tried AS (
  SELECT
    prompt_hash,
    COUNT(*) AS attempts,
    COUNT(IF(status = 'accepted', 1, NULL)) AS accepted,
    SUM(input_tokens) AS input_tokens,
    SUM(output_tokens) AS output_tokens
  FROM persona.drafts
  WHERE language IN UNNEST(@languages) AND writer = @writer
  GROUP BY prompt_hash
),

prompts AS (
  SELECT language, prompt_hash, CHAR_LENGTH(prompt) AS characters
  FROM persona.final_prompts
  WHERE language IN UNNEST(@languages)
    AND audience_hash <= @cutoff
    AND NOT holdout
  QUALIFY ROW_NUMBER() OVER (PARTITION BY prompt_hash ORDER BY user_id) = 1
)

SELECT
  p.language,
  COUNT(IF(s.prompt_hash IS NULL AND COALESCE(t.attempts, 0) < @attempts, 1, NULL)) AS calls,
  CAST(
    SUM(IF(s.prompt_hash IS NULL AND COALESCE(t.attempts, 0) < @attempts, p.characters, 0))
    AS INT64
  ) AS characters,
  SUM(t.input_tokens) / NULLIF(SUM(p.characters * t.attempts), 0) AS input_tokens_per_character,
  SUM(t.output_tokens) / NULLIF(SUM(t.attempts), 0) AS output_tokens_per_call,
  SUM(t.attempts) / NULLIF(SUM(t.accepted), 0) AS calls_per_draft
FROM prompts AS p
LEFT JOIN settled AS s ON s.prompt_hash = p.prompt_hash
LEFT JOIN tried AS t ON t.prompt_hash = p.prompt_hash
GROUP BY p.language
ORDER BY p.language
