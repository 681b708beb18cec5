-- Up to @emails e-mails of every language and segment, no two from the same prompt, of different
-- lifecycles where there are.
WITH different AS (
  SELECT user_id, language, segment, lifecycle, prompt_hash
  FROM persona.emails
  QUALIFY ROW_NUMBER() OVER (PARTITION BY segment, prompt_hash ORDER BY user_id) = 1
),

placed AS (
  SELECT
    user_id,
    language,
    segment,
    prompt_hash,
    ROW_NUMBER() OVER (
      PARTITION BY language, segment, lifecycle ORDER BY prompt_hash, user_id
    ) AS place
  FROM different
)

SELECT user_id
FROM placed
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY language, segment ORDER BY place, prompt_hash, user_id
) <= @emails
ORDER BY user_id
