-- How many customers have ordered.
SELECT COUNT(*) AS buyers FROM persona.parametric WHERE total_orders > 0
