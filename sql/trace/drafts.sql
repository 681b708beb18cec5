-- Every draft for the prompts that the e-mails of @user_ids were written from, or would be.
WITH theirs AS (
  SELECT user_id, prompt_hash FROM persona.emails WHERE user_id IN UNNEST(@user_ids)
  UNION DISTINCT
  SELECT user_id, prompt_hash FROM persona.final_prompts WHERE user_id IN UNNEST(@user_ids)
)

SELECT
  t.user_id,
  d.prompt_hash,
  d.writer,
  d.attempt,
  d.status,
  d.problems,
  d.subject,
  d.input_tokens,
  d.output_tokens,
  d.cost_usd,
  d.run_id,
  d.written_at
FROM theirs AS t
JOIN persona.drafts AS d ON d.prompt_hash = t.prompt_hash
ORDER BY t.user_id, d.written_at, d.writer, d.attempt
