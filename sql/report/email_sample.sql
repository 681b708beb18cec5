-- Up to @emails e-mails of every language and segment, of different lifecycles where there are.
WITH placed AS (
  SELECT
    user_id,
    language,
    segment,
    prompt_hash,
    ROW_NUMBER() OVER (
      PARTITION BY language, segment, lifecycle ORDER BY prompt_hash, user_id
    ) AS place
  FROM persona.emails
)

SELECT user_id
FROM placed
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY language, segment ORDER BY place, prompt_hash, user_id
) <= @emails
ORDER BY user_id
