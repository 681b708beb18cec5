-- The newest events of each of @user_ids.
SELECT user_id, id, created_at, sequence_number, event_type
FROM thelook_ecommerce.events
WHERE user_id IN UNNEST(@user_ids)
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY user_id ORDER BY created_at DESC, sequence_number DESC, id DESC
) <= @rows
ORDER BY user_id, created_at DESC, sequence_number DESC, id DESC
