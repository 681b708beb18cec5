-- The model, most valuable segment first.
SELECT * FROM persona.centroids ORDER BY total_revenue DESC, segment
