-- The segments as they are, to be compared with those that replace them.
SELECT user_id, segment FROM persona.customer_segments
