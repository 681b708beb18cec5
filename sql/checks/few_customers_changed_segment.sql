-- Customers in another segment than before, if they are more than @moved_share of all.
WITH moved AS (
  SELECT s.user_id, b.segment AS from_segment, s.segment AS to_segment
  FROM persona.previous_segments AS b
  JOIN persona.customer_segments AS s ON s.user_id = b.user_id
  WHERE s.segment <> b.segment
)

SELECT user_id, from_segment, to_segment
FROM moved
WHERE (SELECT COUNT(*) FROM moved)
  > @moved_share * (SELECT COUNT(*) FROM persona.previous_segments)
ORDER BY user_id
