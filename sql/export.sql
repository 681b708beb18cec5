-- The e-mails of a language, and why one must not be sent by now: its customer is on the
-- suppression list, or is no longer written to at that address in that language.
WITH suppressed AS (
  SELECT e.user_id
  FROM persona.emails AS e
  JOIN persona.suppression_list AS s ON s.user_id = e.user_id
  WHERE e.language = @language
  UNION DISTINCT
  SELECT e.user_id
  FROM persona.emails AS e
  JOIN persona.suppression_list AS s ON s.email = LOWER(TRIM(e.email))
  WHERE e.language = @language
)

SELECT
  CASE
    WHEN s.user_id IS NOT NULL THEN 'on the suppression list'
    WHEN p.user_id IS NULL THEN 'no longer written to, or not at this address'
  END AS left_out,
  e.user_id,
  e.email,
  p.first_name,
  e.language,
  e.country,
  e.segment,
  e.lifecycle,
  e.subject,
  e.preheader,
  e.marketing_email,
  e.html,
  e.prompt_hash,
  e.writer,
  e.attempt,
  e.segmentation_run,
  e.as_of,
  e.run_id,
  e.written_at
FROM persona.emails AS e
LEFT JOIN suppressed AS s ON s.user_id = e.user_id
LEFT JOIN persona.final_prompts AS p
  ON p.user_id = e.user_id AND p.email = e.email AND p.language = e.language
WHERE e.language = @language
