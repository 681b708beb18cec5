-- Labels that more than one segment has.
SELECT LOWER(TRIM(segment_label)) AS segment_label, COUNT(*) AS segments
FROM persona.segment_labels
GROUP BY LOWER(TRIM(segment_label))
HAVING COUNT(*) > 1
