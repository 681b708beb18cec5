-- A few e-mails of the language, for a person to read.
SELECT user_id, subject, marketing_email
FROM persona.emails
WHERE language = @language
ORDER BY prompt_hash, user_id
LIMIT @emails
