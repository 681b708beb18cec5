-- The names of the segments.
SELECT * FROM persona.segment_labels ORDER BY segment
