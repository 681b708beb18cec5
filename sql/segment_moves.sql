-- How many customers went from one segment to another when the segments were last made.
SELECT b.segment AS from_segment, s.segment AS to_segment, COUNT(*) AS customers
FROM persona.previous_segments AS b
JOIN persona.customer_segments AS s ON s.user_id = b.user_id
WHERE s.segment <> b.segment
GROUP BY b.segment, s.segment
ORDER BY customers DESC, from_segment, to_segment
