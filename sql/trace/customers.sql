-- For each of @user_ids: the e-mail, its prompt, label and centroid, the customer's own numbers, and
-- what could keep the customer from getting an e-mail. What a customer does not have is NULL.
WITH their_prompts AS (
  SELECT user_id, lifecycle, prompt, prompt_hash, holdout
  FROM persona.final_prompts
  WHERE user_id IN UNNEST(@user_ids)
),

their_addresses AS (
  SELECT user_id, LOWER(email) AS address
  FROM persona.parametric
  WHERE user_id IN UNNEST(@user_ids) AND email IS NOT NULL
),

suppressed AS (
  SELECT l.user_id, l.reason, l.since
  FROM persona.suppression_list AS l
  WHERE l.user_id IN UNNEST(@user_ids)
  UNION ALL
  SELECT a.user_id, l.reason, l.since
  FROM persona.suppression_list AS l
  JOIN their_addresses AS a ON a.address = LOWER(l.email)
),

their_suppression AS (
  SELECT user_id, reason, since
  FROM suppressed
  QUALIFY ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY since DESC, reason) = 1
),

-- Another customer with the same address who gets the e-mail.
instead AS (
  SELECT a.user_id, MIN(p.user_id) AS other_user_id
  FROM their_addresses AS a
  JOIN persona.final_prompts AS p ON LOWER(p.email) = a.address AND p.user_id <> a.user_id
  GROUP BY a.user_id
),

their_emails AS (
  SELECT
    user_id, subject, preheader, marketing_email, prompt_hash, writer, attempt, run_id, written_at
  FROM persona.emails
  WHERE user_id IN UNNEST(@user_ids)
)

SELECT
  c.user_id,
  c.first_name,
  c.email,
  c.country,
  c.language,
  c.as_of,
  c.total_orders,
  c.avg_basket,
  c.total_revenue,
  c.months_since_last_order,
  c.freq_orders_per_month,
  c.last_event,
  c.top_products_user,
  c.top_products_country,
  s.segment,
  s.segmentation_run,
  l.segment_label,
  l.designation,
  l.method,
  m.total_orders AS centroid_total_orders,
  m.avg_basket AS centroid_avg_basket,
  m.total_revenue AS centroid_total_revenue,
  m.months_since_last_order AS centroid_months_since_last_order,
  m.freq_orders_per_month AS centroid_freq_orders_per_month,
  p.lifecycle,
  p.prompt,
  p.prompt_hash,
  e.subject,
  e.preheader,
  e.marketing_email,
  e.run_id AS email_run_id,
  e.written_at AS email_written_at,
  e.prompt_hash AS email_prompt_hash,
  e.writer AS email_writer,
  e.attempt AS email_attempt,
  p.holdout,
  x.reason AS suppressed_for,
  x.since AS suppressed_since,
  i.other_user_id
FROM persona.parametric AS c
LEFT JOIN persona.customer_segments AS s ON s.user_id = c.user_id
LEFT JOIN persona.segment_labels AS l ON l.segment = s.segment
LEFT JOIN persona.centroids AS m ON m.segment = s.segment
LEFT JOIN their_prompts AS p ON p.user_id = c.user_id
LEFT JOIN their_emails AS e ON e.user_id = c.user_id
LEFT JOIN their_suppression AS x ON x.user_id = c.user_id
LEFT JOIN instead AS i ON i.user_id = c.user_id
WHERE c.user_id IN UNNEST(@user_ids)
ORDER BY c.user_id
