-- E-mails that another language's prompt asked for, or whose text lacks the script or the commonest
-- words of its language.
SELECT e.user_id, e.language, p.language AS prompt_language, e.subject
FROM persona.emails AS e
LEFT JOIN persona.final_prompts AS p ON p.user_id = e.user_id
WHERE (@language IS NULL OR e.language = @language)
  AND (
    COALESCE(p.language, '') <> e.language
    OR NOT REGEXP_CONTAINS(
      e.marketing_email,
      CASE e.language
        WHEN 'ar' THEN r'\p{Arabic}{3}'
        WHEN 'ja' THEN r'[\p{Hiragana}\p{Katakana}]{3}'
        WHEN 'ko' THEN r'\p{Hangul}{2}'
        WHEN 'zh' THEN r'\p{Han}{4}'
        WHEN 'de' THEN r'\b(Sie|und|Ihnen|Ihre)\b'
        WHEN 'es' THEN r'\b(tu|una|para|que)\b'
        WHEN 'fr' THEN r'\b(vous|votre|vos)\b'
        WHEN 'pt' THEN r'\b(uma|para|sua|seu)\b|você'
        ELSE r'\b(you|your|the)\b'
      END
    )
  )
