-- Up to @emails e-mails of every language and segment.
SELECT user_id
FROM persona.emails
QUALIFY ROW_NUMBER() OVER (PARTITION BY language, segment ORDER BY prompt_hash, user_id) <= @emails
ORDER BY language, segment, user_id
