-- For each of @user_ids: the e-mail, its draft, prompt, label and centroid, and the customer's own
-- numbers. What a customer does not have is NULL.
WITH their_prompts AS (
  SELECT user_id, lifecycle, prompt, prompt_hash
  FROM persona.final_prompts
  WHERE user_id IN UNNEST(@user_ids)
),

their_emails AS (
  SELECT
    user_id, subject, preheader, marketing_email, html, prompt_hash, writer, attempt, run_id,
    written_at
  FROM persona.emails
  WHERE user_id IN UNNEST(@user_ids)
),

their_drafts AS (
  SELECT
    prompt_hash, writer, attempt, status, problems, input_tokens, output_tokens, cost_usd,
    run_id, written_at
  FROM persona.drafts
  WHERE prompt_hash IN (SELECT prompt_hash FROM their_emails)
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
  e.html,
  e.run_id AS email_run_id,
  e.written_at AS email_written_at,
  d.writer AS draft_writer,
  d.attempt AS draft_attempt,
  d.status AS draft_status,
  d.problems AS draft_problems,
  d.input_tokens AS draft_input_tokens,
  d.output_tokens AS draft_output_tokens,
  d.cost_usd AS draft_cost_usd,
  d.run_id AS draft_run_id,
  d.written_at AS draft_written_at
FROM persona.parametric AS c
LEFT JOIN persona.customer_segments AS s ON s.user_id = c.user_id
LEFT JOIN persona.segment_labels AS l ON l.segment = s.segment
LEFT JOIN persona.centroids AS m ON m.segment = s.segment
LEFT JOIN their_prompts AS p ON p.user_id = c.user_id
LEFT JOIN their_emails AS e ON e.user_id = c.user_id
LEFT JOIN their_drafts AS d
  ON d.prompt_hash = e.prompt_hash AND d.writer = e.writer AND d.attempt = e.attempt
WHERE c.user_id IN UNNEST(@user_ids)
ORDER BY c.user_id
