-- What the e-mails of a language took: customers who were to get one, those left out because every
-- draft was refused, those whom @writer's drafts were refused for and the templates wrote to, and
-- the refused drafts, tokens and dollars of this @run_id.
WITH asked AS (
  SELECT user_id
  FROM persona.final_prompts
  WHERE language = @language AND audience_hash <= @cutoff AND NOT holdout
),

spent AS (
  SELECT
    COUNT(IF(d.status = 'rejected', 1, NULL)) AS drafts_refused,
    CAST(COALESCE(SUM(d.input_tokens), 0) AS INT64) AS input_tokens,
    CAST(COALESCE(SUM(d.output_tokens), 0) AS INT64) AS output_tokens,
    COALESCE(SUM(d.cost_usd), 0.0) AS cost_usd
  FROM persona.drafts AS d
  WHERE d.run_id = @run_id
)

SELECT
  COUNT(a.user_id) AS customers,
  COUNT(IF(a.user_id IS NOT NULL AND e.user_id IS NULL, 1, NULL)) AS left_out,
  COUNT(IF(e.writer <> @writer, 1, NULL)) AS from_templates,
  ANY_VALUE(s.drafts_refused) AS drafts_refused,
  ANY_VALUE(s.input_tokens) AS input_tokens,
  ANY_VALUE(s.output_tokens) AS output_tokens,
  ANY_VALUE(s.cost_usd) AS cost_usd
FROM spent AS s
LEFT JOIN asked AS a ON TRUE
LEFT JOIN persona.emails AS e ON e.user_id = a.user_id AND e.language = @language
