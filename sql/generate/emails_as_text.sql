-- An e-mail for each prompt in persona.asked, as a text that has yet to be read.
SELECT
  prompt_hash,
  attempt,
  CAST(NULL AS STRING) AS subject,
  CAST(NULL AS STRING) AS preheader,
  CAST(NULL AS STRING) AS body,
  TO_JSON_STRING(ml_generate_text_result) AS full_response,
  ml_generate_text_status AS status
FROM ML.GENERATE_TEXT(
  MODEL persona.copywriter,
  TABLE persona.asked,
  STRUCT(@model_params AS model_params, FALSE AS flatten_json_output)
)
