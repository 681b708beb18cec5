-- E-mails whose prompt, accepted draft, customer or segmentation is not the present one.
SELECT
  e.user_id,
  p.user_id IS NULL AS without_prompt,
  d.prompt_hash IS NULL AS without_draft,
  u.id IS NULL AS without_customer,
  s.user_id IS NULL AS without_segmentation
FROM persona.emails AS e
LEFT JOIN persona.final_prompts AS p
  ON p.user_id = e.user_id AND p.prompt_hash = e.prompt_hash
LEFT JOIN persona.drafts AS d
  ON d.prompt_hash = e.prompt_hash
  AND d.writer = e.writer
  AND d.attempt = e.attempt
  AND d.status = 'accepted'
LEFT JOIN thelook_ecommerce.users AS u ON u.id = e.user_id
LEFT JOIN persona.customer_segments AS s
  ON s.user_id = e.user_id
  AND s.segment = e.segment
  AND COALESCE(s.segmentation_run, '') = COALESCE(e.segmentation_run, '')
WHERE (@language IS NULL OR e.language = @language)
  AND (p.user_id IS NULL OR d.prompt_hash IS NULL OR u.id IS NULL OR s.user_id IS NULL)
