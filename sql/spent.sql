-- What the drafts of @run_ids cost, USD.
SELECT COALESCE(SUM(cost_usd), 0.0) AS cost_usd
FROM persona.drafts
WHERE run_id IN UNNEST(@run_ids)
