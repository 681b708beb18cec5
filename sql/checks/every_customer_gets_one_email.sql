-- Customers with more than one e-mail, whatever the languages.
SELECT user_id, COUNT(*) AS emails, COUNT(DISTINCT language) AS languages
FROM persona.emails
GROUP BY user_id
HAVING COUNT(*) > 1
