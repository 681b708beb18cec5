-- The names in the catalogue.
SELECT DISTINCT name FROM thelook_ecommerce.products WHERE name IS NOT NULL ORDER BY name
