-- An e-mail for each prompt in persona.asked, in the three columns that the output schema names.
SELECT
  prompt_hash,
  attempt,
  subject,
  preheader,
  body,
  TO_JSON_STRING(full_response) AS full_response,
  status
FROM AI.GENERATE_TABLE(
  MODEL persona.copywriter,
  TABLE persona.asked,
  STRUCT(
    'subject STRING, preheader STRING, body STRING' AS output_schema,
    @temperature AS temperature,
    @max_output_tokens AS max_output_tokens
  )
)
