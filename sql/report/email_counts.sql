-- How many e-mails each language has.
SELECT language, COUNT(*) AS emails FROM persona.emails GROUP BY language ORDER BY language
