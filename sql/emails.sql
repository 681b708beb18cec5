-- The e-mails of a language: prompts joined with their accepted drafts, @writer's before those of
-- the others of @writers. Names are merged after.
WITH accepted AS (
  SELECT prompt_hash, writer, attempt, subject, preheader, body
  FROM persona.drafts
  WHERE language = @language AND writer IN UNNEST(@writers) AND status = 'accepted'
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY prompt_hash ORDER BY writer = @writer DESC, attempt DESC
  ) = 1
)

SELECT
  p.user_id,
  p.email,
  p.first_name,
  p.language,
  p.country,
  p.segment,
  p.lifecycle,
  d.subject,
  d.preheader,
  d.body,
  p.prompt_hash,
  d.writer,
  d.attempt,
  p.segmentation_run,
  p.as_of
FROM persona.final_prompts AS p
JOIN accepted AS d ON d.prompt_hash = p.prompt_hash
WHERE p.language = @language
  AND p.audience_hash <= @cutoff
  AND NOT p.holdout
