-- How many customers each segment has.
SELECT segment, COUNT(*) AS customers
FROM persona.customer_segments
GROUP BY segment
ORDER BY segment
