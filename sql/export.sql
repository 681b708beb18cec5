-- The e-mails of a language, and why one must not be sent by now: its customer is on the
-- suppression list, or is no longer written to at that address in that language.
WITH suppressed AS (
  SELECT LOWER(TRIM(email)) AS address
  FROM persona.suppression_list
  WHERE email IS NOT NULL
  UNION DISTINCT
  -- Whoever else has the address of a suppressed customer is that customer.
  SELECT LOWER(TRIM(p.email))
  FROM persona.suppression_list AS l
  JOIN persona.parametric AS p ON p.user_id = l.user_id
  WHERE p.email IS NOT NULL
  UNION DISTINCT
  SELECT LOWER(TRIM(e.email))
  FROM persona.suppression_list AS l
  JOIN persona.emails AS e ON e.user_id = l.user_id
)

SELECT
  CASE
    WHEN s.address IS NOT NULL THEN 'on the suppression list'
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
  e.prompt_hash,
  e.writer,
  e.attempt,
  e.segmentation_run,
  e.as_of,
  e.run_id,
  e.written_at
FROM persona.emails AS e
LEFT JOIN suppressed AS s ON s.address = LOWER(TRIM(e.email))
LEFT JOIN persona.final_prompts AS p
  ON p.user_id = e.user_id
  AND p.email = e.email
  AND p.language = e.language
  AND NOT p.holdout
WHERE e.language = @language
