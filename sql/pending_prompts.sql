-- The distinct prompts of a language that none of @writers has an accepted draft for, and @writer
-- fewer than @attempts refused ones, with what was wrong with the newest of these.
WITH settled AS (
  SELECT DISTINCT prompt_hash
  FROM persona.drafts
  WHERE language = @language AND writer IN UNNEST(@writers) AND status = 'accepted'
),

refused AS (
  SELECT prompt_hash, attempt, problems
  FROM persona.drafts
  WHERE language = @language AND writer = @writer
  QUALIFY ROW_NUMBER() OVER (PARTITION BY prompt_hash ORDER BY attempt DESC) = 1
),

-- One for each prompt: a window over whole prompts would hold them all.
customers AS (
  SELECT MIN(user_id) AS user_id
  FROM persona.final_prompts
  WHERE language = @language
    AND audience_hash <= @cutoff
    AND NOT holdout
  GROUP BY prompt_hash
)

SELECT
  p.prompt_hash,
  p.prompt,
  p.language,
  p.lifecycle,
  p.territory,
  p.total_orders,
  p.avg_basket,
  p.order_interval_months,
  p.last_order_month,
  p.last_event,
  p.top_products_user,
  p.top_products_country,
  COALESCE(r.attempt, 0) + 1 AS attempt,
  r.problems AS refused_for
FROM persona.final_prompts AS p
JOIN customers AS c ON c.user_id = p.user_id
LEFT JOIN settled AS s ON s.prompt_hash = p.prompt_hash
LEFT JOIN refused AS r ON r.prompt_hash = p.prompt_hash
WHERE p.language = @language
  AND s.prompt_hash IS NULL
  AND COALESCE(r.attempt, 0) < @attempts
