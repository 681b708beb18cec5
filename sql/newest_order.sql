-- The day of the newest order.
SELECT MAX(DATE(created_at)) AS newest_order FROM thelook_ecommerce.orders
