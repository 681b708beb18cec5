-- What a model at @endpoint says to a @prompt about one segment.
SELECT
  answer.label,
  answer.designation,
  answer.tone,
  TO_JSON_STRING(answer.full_response) AS full_response,
  answer.status
FROM (
  SELECT
    AI.GENERATE(
      prompt => @prompt,
      endpoint => @endpoint,
      model_params => @model_params,
      output_schema => 'label STRING, designation STRING, tone STRING',
      connection_id => @connection
    ) AS answer
)
