-- Customers in no segment, in several, or in a segment that was never fitted.
WITH memberships AS (
  SELECT user_id, COUNT(segment) AS segments FROM persona.customer_segments GROUP BY user_id
)

SELECT p.user_id, COALESCE(m.segments, 0) AS segments, s.segment
FROM persona.parametric AS p
LEFT JOIN memberships AS m ON m.user_id = p.user_id
LEFT JOIN persona.customer_segments AS s ON s.user_id = p.user_id
LEFT JOIN persona.centroids AS c ON c.segment = s.segment
WHERE COALESCE(m.segments, 0) <> 1
  OR (s.segment = 'prospects') <> (p.total_orders = 0)
  OR (s.segment <> 'prospects' AND c.segment IS NULL)
