-- Segments of the model, and prospects, without a label.
WITH expected AS (
  SELECT segment FROM persona.centroids
  UNION ALL
  SELECT 'prospects'
)

SELECT e.segment
FROM expected AS e
LEFT JOIN persona.segment_labels AS l ON l.segment = e.segment
WHERE COALESCE(TRIM(l.segment_label), '') = ''
