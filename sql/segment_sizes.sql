-- How many customers each segment has.
SELECT segment, CAST(NULL AS STRING) AS segment_label, COUNT(*) AS customers
FROM persona.customer_segments
GROUP BY segment
ORDER BY segment
