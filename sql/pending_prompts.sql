-- The distinct prompts of a language that @writer has no accepted draft for.
SELECT
  p.prompt_hash,
  p.prompt,
  p.language,
  p.lifecycle,
  p.territory,
  p.segment_label,
  p.total_orders,
  p.last_order_month,
  p.last_event,
  p.top_products_user,
  p.top_products_country
FROM persona.final_prompts AS p
LEFT JOIN persona.drafts AS d
  ON d.prompt_hash = p.prompt_hash AND d.writer = @writer
WHERE p.language = @language
  AND p.audience_hash <= @cutoff
  AND d.prompt_hash IS NULL
QUALIFY ROW_NUMBER() OVER (PARTITION BY p.prompt_hash ORDER BY p.user_id) = 1
