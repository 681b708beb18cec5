-- Every buyer in the segment with the smallest linear score (see centroids); everyone else a
-- prospect. The model comes as arrays of 20, of which the first @k count, each segment's less the
-- first one's, whose score is 0; places beyond @k have the intercept 1e300. A cross join with the
-- centroids would take ten times as long.
WITH logged AS (
  SELECT
    user_id,
    total_orders > 0 AS is_buyer,
    LN(1 + total_orders) AS orders,
    LN(1 + GREATEST(total_revenue, 0)) AS revenue,
    LN(1 + months_since_last_order) AS months
  FROM persona.parametric
),

scores AS (
  SELECT
    user_id,
    is_buyer,
    0.0 AS s1,
    @intercepts[OFFSET(1)] + @weights_orders[OFFSET(1)] * orders
      + @weights_revenue[OFFSET(1)] * revenue + @weights_months[OFFSET(1)] * months AS s2,
    @intercepts[OFFSET(2)] + @weights_orders[OFFSET(2)] * orders
      + @weights_revenue[OFFSET(2)] * revenue + @weights_months[OFFSET(2)] * months AS s3,
    @intercepts[OFFSET(3)] + @weights_orders[OFFSET(3)] * orders
      + @weights_revenue[OFFSET(3)] * revenue + @weights_months[OFFSET(3)] * months AS s4,
    IF(
      @k > 4,
      @intercepts[OFFSET(4)] + @weights_orders[OFFSET(4)] * orders
        + @weights_revenue[OFFSET(4)] * revenue + @weights_months[OFFSET(4)] * months,
      1e300
    ) AS s5,
    IF(
      @k > 5,
      @intercepts[OFFSET(5)] + @weights_orders[OFFSET(5)] * orders
        + @weights_revenue[OFFSET(5)] * revenue + @weights_months[OFFSET(5)] * months,
      1e300
    ) AS s6,
    IF(
      @k > 6,
      @intercepts[OFFSET(6)] + @weights_orders[OFFSET(6)] * orders
        + @weights_revenue[OFFSET(6)] * revenue + @weights_months[OFFSET(6)] * months,
      1e300
    ) AS s7,
    IF(
      @k > 7,
      @intercepts[OFFSET(7)] + @weights_orders[OFFSET(7)] * orders
        + @weights_revenue[OFFSET(7)] * revenue + @weights_months[OFFSET(7)] * months,
      1e300
    ) AS s8,
    IF(
      @k > 8,
      @intercepts[OFFSET(8)] + @weights_orders[OFFSET(8)] * orders
        + @weights_revenue[OFFSET(8)] * revenue + @weights_months[OFFSET(8)] * months,
      1e300
    ) AS s9,
    IF(
      @k > 9,
      @intercepts[OFFSET(9)] + @weights_orders[OFFSET(9)] * orders
        + @weights_revenue[OFFSET(9)] * revenue + @weights_months[OFFSET(9)] * months,
      1e300
    ) AS s10,
    IF(
      @k > 10,
      @intercepts[OFFSET(10)] + @weights_orders[OFFSET(10)] * orders
        + @weights_revenue[OFFSET(10)] * revenue + @weights_months[OFFSET(10)] * months,
      1e300
    ) AS s11,
    IF(
      @k > 11,
      @intercepts[OFFSET(11)] + @weights_orders[OFFSET(11)] * orders
        + @weights_revenue[OFFSET(11)] * revenue + @weights_months[OFFSET(11)] * months,
      1e300
    ) AS s12,
    IF(
      @k > 12,
      @intercepts[OFFSET(12)] + @weights_orders[OFFSET(12)] * orders
        + @weights_revenue[OFFSET(12)] * revenue + @weights_months[OFFSET(12)] * months,
      1e300
    ) AS s13,
    IF(
      @k > 13,
      @intercepts[OFFSET(13)] + @weights_orders[OFFSET(13)] * orders
        + @weights_revenue[OFFSET(13)] * revenue + @weights_months[OFFSET(13)] * months,
      1e300
    ) AS s14,
    IF(
      @k > 14,
      @intercepts[OFFSET(14)] + @weights_orders[OFFSET(14)] * orders
        + @weights_revenue[OFFSET(14)] * revenue + @weights_months[OFFSET(14)] * months,
      1e300
    ) AS s15,
    IF(
      @k > 15,
      @intercepts[OFFSET(15)] + @weights_orders[OFFSET(15)] * orders
        + @weights_revenue[OFFSET(15)] * revenue + @weights_months[OFFSET(15)] * months,
      1e300
    ) AS s16,
    IF(
      @k > 16,
      @intercepts[OFFSET(16)] + @weights_orders[OFFSET(16)] * orders
        + @weights_revenue[OFFSET(16)] * revenue + @weights_months[OFFSET(16)] * months,
      1e300
    ) AS s17,
    IF(
      @k > 17,
      @intercepts[OFFSET(17)] + @weights_orders[OFFSET(17)] * orders
        + @weights_revenue[OFFSET(17)] * revenue + @weights_months[OFFSET(17)] * months,
      1e300
    ) AS s18,
    IF(
      @k > 18,
      @intercepts[OFFSET(18)] + @weights_orders[OFFSET(18)] * orders
        + @weights_revenue[OFFSET(18)] * revenue + @weights_months[OFFSET(18)] * months,
      1e300
    ) AS s19,
    IF(
      @k > 19,
      @intercepts[OFFSET(19)] + @weights_orders[OFFSET(19)] * orders
        + @weights_revenue[OFFSET(19)] * revenue + @weights_months[OFFSET(19)] * months,
      1e300
    ) AS s20
  FROM logged
),

nearest AS (
  SELECT
    *,
    IF(
      @k > 4,
      LEAST(
        LEAST(s1, s2, s3, s4),
        LEAST(s5, s6, s7, s8),
        IF(
          @k > 8,
          LEAST(
            LEAST(s9, s10, s11, s12),
            IF(@k > 12, LEAST(s13, s14, s15, s16, s17, s18, s19, s20), 1e300)
          ),
          1e300
        )
      ),
      LEAST(s1, s2, s3, s4)
    ) AS smallest
  FROM scores
)

SELECT
  user_id,
  CASE
    WHEN NOT is_buyer THEN 'prospects'
    WHEN s1 = smallest THEN @segments[OFFSET(0)]
    WHEN s2 = smallest THEN @segments[OFFSET(1)]
    WHEN s3 = smallest THEN @segments[OFFSET(2)]
    WHEN s4 = smallest THEN @segments[OFFSET(3)]
    WHEN s5 = smallest THEN @segments[OFFSET(4)]
    WHEN s6 = smallest THEN @segments[OFFSET(5)]
    WHEN s7 = smallest THEN @segments[OFFSET(6)]
    WHEN s8 = smallest THEN @segments[OFFSET(7)]
    WHEN s9 = smallest THEN @segments[OFFSET(8)]
    WHEN s10 = smallest THEN @segments[OFFSET(9)]
    WHEN s11 = smallest THEN @segments[OFFSET(10)]
    WHEN s12 = smallest THEN @segments[OFFSET(11)]
    WHEN s13 = smallest THEN @segments[OFFSET(12)]
    WHEN s14 = smallest THEN @segments[OFFSET(13)]
    WHEN s15 = smallest THEN @segments[OFFSET(14)]
    WHEN s16 = smallest THEN @segments[OFFSET(15)]
    WHEN s17 = smallest THEN @segments[OFFSET(16)]
    WHEN s18 = smallest THEN @segments[OFFSET(17)]
    WHEN s19 = smallest THEN @segments[OFFSET(18)]
    ELSE @segments[OFFSET(19)]
  END AS segment,
  IF(is_buyer, CAST(@segmentation_run AS STRING), NULL) AS segmentation_run
FROM nearest
