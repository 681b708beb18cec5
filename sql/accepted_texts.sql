-- The drafts of @writer that were accepted for prompts of a language, up to @drafts of them.
SELECT d.subject, d.preheader, d.body
FROM persona.drafts AS d
WHERE d.language = @language
  AND d.writer = @writer
  AND d.status = 'accepted'
  AND d.prompt_hash IN (SELECT prompt_hash FROM persona.final_prompts WHERE language = @language)
ORDER BY d.written_at DESC, d.prompt_hash
LIMIT @drafts
