-- The metrics of every k that was tried.
SELECT * FROM persona.cluster_metrics ORDER BY k
