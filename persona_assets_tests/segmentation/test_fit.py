"""The k-means model: order, linear score and assignment, in numpy and in the warehouse."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.cluster import KMeans

from persona_assets import schemas
from persona_assets.errors import InputError
from persona_assets.segmentation import FEATURES, fit_segments, prepare
from persona_assets.segmentation.fit import Segments
from persona_assets.warehouse import read_query

REVENUE = FEATURES.index("total_revenue")


def buyers(rows: int, seed: int = 0) -> np.ndarray:
    """Customers with orders, their features as a shop would have them."""
    random = np.random.default_rng(seed)
    orders = random.geometric(0.4, rows).astype(float)
    basket = random.lognormal(4, 0.8, rows)
    months = random.uniform(0, 40, rows)
    return np.column_stack([orders, basket, orders * basket, months, orders / (months + 1)])


def scores(segments: Segments, features: np.ndarray) -> np.ndarray:
    """(customers, segments): the linear score as the docstring of the table gives it."""
    return segments.intercept + np.log1p(np.maximum(features, 0)) @ segments.weights.T


def model_of(features: np.ndarray, k: int, seed: int = 0) -> KMeans:
    return KMeans(n_clusters=k, n_init=10, random_state=seed).fit(prepare(features)[0])


def places(model: KMeans, segments: Segments) -> np.ndarray:
    """Which of our segments each of scikit-learn's clusters is."""
    pairs = set(zip(model.labels_.tolist(), segments.labels.tolist(), strict=True))
    assert len(pairs) == len(segments.customers), "clusters and segments are not one to one"
    return np.array([segment for _, segment in sorted(pairs)])


def test_the_segment_with_the_highest_mean_revenue_comes_first():
    revenue = fit_segments(buyers(500), 5, REVENUE).means[:, REVENUE]
    assert revenue.tolist() == sorted(revenue, reverse=True)


def test_the_value_column_decides_the_order():
    months = FEATURES.index("months_since_last_order")
    found = fit_segments(buyers(500), 5, months).means[:, months]
    assert found.tolist() == sorted(found, reverse=True)


def test_sizes_and_means_are_those_of_the_customers_in_the_segment():
    features = buyers(400)
    segments = fit_segments(features, 4, REVENUE)
    assert segments.customers.sum() == 400
    for place in range(4):
        mine = features[segments.labels == place]
        assert segments.customers[place] == len(mine)
        assert segments.means[place] == pytest.approx(mine.mean(axis=0))


def test_the_same_seed_gives_the_same_model():
    features = buyers(250)
    one, again = (fit_segments(features.copy(), 4, REVENUE, seed=2) for _ in range(2))
    assert np.array_equal(one.labels, again.labels)
    assert np.array_equal(one.weights, again.weights)
    assert np.array_equal(one.intercept, again.intercept)


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_the_linear_score_assigns_as_the_nearest_centroid_of_scikit_learn(k):
    features = buyers(600)
    segments, model = fit_segments(features, k, REVENUE), model_of(features, k)
    place = places(model, segments)
    assert np.array_equal(scores(segments, features).argmin(axis=1), segments.labels)

    unseen = np.vstack([buyers(2_000, seed=9), np.full((1, 5), 1e6), np.zeros((1, 5))])
    _, scale = prepare(features)
    nearest = model.predict((np.log1p(unseen) - scale.mean) / scale.deviation)
    assert np.array_equal(scores(segments, unseen).argmin(axis=1), place[nearest])


def test_the_warehouse_assigns_as_scikit_learn_does_and_prospects_by_rule(warehouse):
    features = buyers(500)
    features[:5, [1, 2]] = -20.0  # refunds larger than the purchases
    segments, model = fit_segments(features, 4, REVENUE), model_of(features, 4)
    place = places(model, segments)
    put_centroids(warehouse, segments)
    nobody = [0.0, None, 0.0, None, 0.0]
    put_customers(warehouse, [*features.tolist(), nobody, nobody])

    warehouse.create("customer_segments", read_query("customer_segments"), {})

    with warehouse.connect() as connection:
        found = connection.execute(
            "SELECT segment, segmentation_run FROM persona.customer_segments ORDER BY user_id"
        ).fetchall()
    assert found[:500] == [(f"seg_{place[label] + 1}", "run") for label in model.labels_]
    assert found[500:] == [("prospects", None)] * 2


def test_in_the_warehouse_a_tie_goes_to_the_first_segment(warehouse):
    one = fit_segments(buyers(50), 1, REVENUE)
    twins = Segments(
        np.repeat(one.customers, 2), np.repeat(one.means, 2, 0), np.repeat(one.intercept, 2),
        np.repeat(one.weights, 2, 0), one.labels,
    )  # fmt: skip
    put_centroids(warehouse, twins)
    put_customers(warehouse, buyers(40, seed=3).tolist())
    warehouse.create("customer_segments", read_query("customer_segments"), {})
    with warehouse.connect() as connection:
        found = connection.execute("SELECT DISTINCT segment FROM persona.customer_segments")
        assert found.fetchall() == [("seg_1",)]


def test_one_customer_is_one_segment():
    segments = fit_segments(np.array([[1.0, 20, 20, 3, 0.3]]), 1, REVENUE)
    assert segments.customers.tolist() == [1]
    assert segments.means.tolist() == [[1, 20, 20, 3, 0.3]]


def test_one_whale_is_a_segment_of_its_own_and_the_first():
    whale = np.array([[400.0, 1e6, 4e8, 0.1, 30]])
    segments = fit_segments(np.vstack([buyers(200), whale]), 4, REVENUE)
    assert segments.labels[-1] == 0
    assert segments.customers[0] == 1
    assert segments.means[0] == pytest.approx(whale[0])


@pytest.mark.parametrize(
    ("features", "different"),
    [
        (buyers(2), 2),
        (np.repeat(buyers(2), 20, axis=0), 2),
        (np.ones((30, 5)), 1),
        (np.array([[1.0, -5, -5, 3, 1], [1.0, -9, -9, 3, 1], [2.0, 5, 9, 3, 1]]), 2),
        (np.empty((0, 5)), 0),
    ],
    ids=["two", "two different among many", "all alike", "different below zero only", "none"],
)
def test_more_segments_than_different_customers_are_refused(features, different):
    with pytest.raises(InputError, match=f"k is 3 .* only {different} different buyers"):
        fit_segments(features, 3, REVENUE)


def test_as_many_segments_as_different_customers_leave_none_empty():
    features = np.repeat(buyers(3), 10, axis=0)
    assert fit_segments(features, 3, REVENUE).customers.tolist() == [10, 10, 10]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(value):
    features = buyers(30)
    features[7, REVENUE] = value
    with pytest.raises(ValueError, match=r"total_revenue \(1\)"):
        fit_segments(features, 2, REVENUE)


def put_customers(warehouse, rows: list[list]) -> None:
    columns = {"user_id": pa.int64(), **dict.fromkeys(FEATURES, pa.float64())}
    table = pa.Table.from_pylist(
        [dict(zip(columns, [user, *row], strict=True)) for user, row in enumerate(rows)],
        schema=pa.schema(columns),
    )
    warehouse.replace("parametric", table.schema, table.to_batches())


def put_centroids(warehouse, segments: Segments) -> None:
    rows = [
        {
            "segment": f"seg_{place + 1}",
            "customers": int(segments.customers[place]),
            **dict(zip(FEATURES, segments.means[place], strict=True)),
            "intercept": segments.intercept[place],
            **dict(
                zip([f"weight_{f}" for f in FEATURES], segments.weights[place], strict=True)
            ),
            "segmentation_run": "run",
        }
        for place in range(len(segments.customers))
    ]
    schema = schemas.arrow_schema(schemas.centroids)
    warehouse.replace("centroids", schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
