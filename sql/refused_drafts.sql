-- How many drafts that @writer wrote for the present prompts of a language were refused, by the
-- gate that refused them, which is what a problem says before its first colon.
SELECT SPLIT(problem, ':')[OFFSET(0)] AS gate, COUNT(DISTINCT d.prompt_hash) AS prompts,
  COUNT(*) AS drafts
FROM persona.drafts AS d
CROSS JOIN UNNEST(d.problems) AS problem
WHERE d.language = @language
  AND d.writer = @writer
  AND d.status = 'rejected'
  AND d.prompt_hash IN (SELECT prompt_hash FROM persona.final_prompts WHERE language = @language)
GROUP BY gate
ORDER BY drafts DESC, gate
