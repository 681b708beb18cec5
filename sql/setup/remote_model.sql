-- The writer of the e-mails inside BigQuery: a Gemini model that is called through a connection.
-- Who runs it puts in the names and the endpoint of the settings.
CREATE OR REPLACE MODEL persona.model
REMOTE WITH CONNECTION `project.location.connection`
OPTIONS (ENDPOINT = 'endpoint')
