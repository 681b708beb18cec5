-- Every buyer in the segment of the nearest centroid, everyone else a prospect. A customer's place
-- is LN(1 + x) of the three features, each times its weight; @model has the centroids in the same
-- units. A tie goes to the first segment by name.
WITH placed AS (
  SELECT
    user_id,
    total_orders > 0 AS is_buyer,
    [
      @weights[OFFSET(0)] * LN(1 + total_orders),
      @weights[OFFSET(1)] * IF(total_revenue > 0, LN(1 + total_revenue), 0),
      @weights[OFFSET(2)] * LN(1 + COALESCE(months_since_last_order, 0))
    ] AS place
  FROM persona.parametric
)

SELECT
  user_id,
  IF(
    is_buyer,
    (
      SELECT c.segment
      FROM UNNEST(@model) AS c
      ORDER BY EUCLIDEAN_DISTANCE(place, c.centre), c.segment
      LIMIT 1
    ),
    'prospects'
  ) AS segment,
  IF(is_buyer, CAST(@segmentation_run AS STRING), NULL) AS segmentation_run
FROM placed
