"""The k-means model: order, sizes and assignment, in numpy and in the warehouse."""

import numpy as np
import pyarrow as pa
import pytest

from persona_assets.errors import InputError
from persona_assets.segmentation import (
    FEATURES,
    NUMBERS,
    fit_segments,
    model_parameters,
    model_rows,
    prepare,
)
from persona_assets.segmentation.fit import Segments, fit_range, polish
from persona_assets.warehouse import read_query

REVENUE = FEATURES.index("total_revenue")


def buyers(rows: int, seed: int = 0) -> np.ndarray:
    """Customers with orders, their features as a shop would have them."""
    random = np.random.default_rng(seed)
    orders = random.geometric(0.4, rows).astype(float)
    revenue = orders * random.lognormal(4, 0.8, rows)
    return np.column_stack([orders, revenue, random.uniform(0, 40, rows)])


def test_the_segment_with_the_highest_mean_revenue_comes_first():
    features = buyers(500)
    labels = fit_segments(features, 5).labels
    means = [features[labels == place, REVENUE].mean() for place in range(5)]
    assert means == sorted(means, reverse=True)


def test_sizes_and_means_are_those_of_the_customers_in_the_segment():
    features = buyers(400)
    segments = fit_segments(features, 4)
    numbers = np.random.default_rng(0).random((400, len(NUMBERS)))
    rows = model_rows(segments, numbers, [(f"seg_{i}", None) for i in (7, 2, 9, 4)], "run")
    assert [row["segment"] for row in rows] == ["seg_7", "seg_2", "seg_9", "seg_4"]
    assert {row["last_number"] for row in rows} == {9}
    for place, row in enumerate(rows):
        mine = segments.labels == place
        assert row["customers"] == mine.sum()
        assert [row[name] for name in NUMBERS] == pytest.approx(numbers[mine].mean(axis=0))
        assert [row[f"centre_{name}"] for name in FEATURES] == pytest.approx(
            np.log1p(features[mine]).mean(axis=0), abs=1e-4
        )


def test_the_same_seed_gives_the_same_model():
    features = buyers(250)
    one, again = (fit_segments(features.copy(), 4, seed=2) for _ in range(2))
    assert np.array_equal(one.labels, again.labels)
    assert np.array_equal(one.centres, again.centres)


@pytest.mark.parametrize("k", [1, 2, 3, 6, 20])
def test_the_warehouse_assigns_as_scikit_learn_predicts_and_prospects_by_rule(warehouse, k):
    features = buyers(800)
    features[:5, REVENUE] = -20.0  # refunds larger than the purchases
    segments = fit_segments(features, k)
    model = polish(prepare(features)[0], segments.centres, steps=1)
    model.cluster_centers_ = segments.centres
    unseen = np.vstack([features, buyers(3_000, seed=9), [[1e6, 1e6, 1e6], [1, 0, 0]]])
    predicted = model.predict(segments.scale.apply(unseen))
    put_customers(warehouse, [*unseen.tolist(), [0, 0.0, None], [0, 0.0, None]])
    found = assign(warehouse, segments)
    assert found[:-2] == [(f"seg_{label + 1}", "run") for label in predicted]
    assert found[-2:] == [("prospects", None)] * 2


def test_in_the_warehouse_a_tie_goes_to_the_first_segment(warehouse):
    one = fit_segments(buyers(50), 1)
    twins = Segments(
        np.repeat(one.customers, 2), np.repeat(one.centres, 2, 0), one.labels, one.scale
    )
    put_customers(warehouse, buyers(40, seed=3).tolist())
    assert set(assign(warehouse, twins)) == {("seg_1", "run")}


def test_without_a_model_everyone_is_a_prospect(warehouse):
    put_customers(warehouse, [[0, 0.0, None]])
    warehouse.create("customer_segments", read_query("customer_segments"), model_parameters([]))
    with warehouse.connect() as connection:
        found = connection.execute("FROM persona.customer_segments").fetchall()
    assert found == [(0, "prospects", None)]


def test_one_customer_is_one_segment():
    segments = fit_segments(np.array([[1.0, 20, 3]]), 1)
    assert segments.customers.tolist() == [1]


def test_one_whale_is_a_segment_of_its_own_and_the_first():
    segments = fit_segments(np.vstack([buyers(200), [[400.0, 4e8, 0.1]]]), 4)
    assert segments.labels[-1] == 0
    assert segments.customers[0] == 1


@pytest.mark.parametrize(
    ("features", "different"),
    [
        (buyers(2), 2),
        (np.repeat(buyers(2), 20, axis=0), 2),
        (np.ones((30, 3)), 1),
        (np.array([[1.0, -5, 3], [1.0, -9, 3], [2.0, 5, 3]]), 2),
        (np.empty((0, 3)), 0),
    ],
    ids=["two", "two different among many", "all alike", "different below zero only", "none"],
)
def test_more_segments_than_different_customers_are_refused(features, different):
    with pytest.raises(InputError, match=f"k is 3 .* only {different} different buyers"):
        fit_segments(features, 3)


def test_as_many_segments_as_different_customers_leave_none_empty():
    features = np.repeat(buyers(3), 10, axis=0)
    assert fit_segments(features, 3).customers.tolist() == [10, 10, 10]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(value):
    features = buyers(30)
    features[7, REVENUE] = value
    with pytest.raises(ValueError, match=r"total_revenue \(1\)"):
        fit_segments(features, 2)


def test_a_range_of_k_is_fitted_each_with_its_own_centres():
    rows = prepare(buyers(300))[0]
    fits = dict(fit_range(rows, 2, 6, seed=1))
    assert {k: centres.shape for k, centres in fits.items()} == {k: (k, 3) for k in range(2, 7)}
    again = dict(fit_range(rows, 2, 6, seed=1))
    assert all(np.array_equal(fits[k], again[k]) for k in fits)


def put_customers(warehouse, rows: list[list]) -> None:
    columns = {"user_id": pa.int64(), **dict.fromkeys(FEATURES, pa.float64())}
    table = pa.Table.from_pylist(
        [dict(zip(columns, [user, *row], strict=True)) for user, row in enumerate(rows)],
        schema=pa.schema(columns),
    )
    warehouse.replace("parametric", table.schema, table.to_batches())


def assign(warehouse, segments: Segments) -> list[tuple[str, str | None]]:
    """Segment and run of every customer, from the query, by user_id."""
    named = [(f"seg_{place + 1}", None) for place in range(len(segments.customers))]
    numbers = np.zeros((len(segments.labels), len(NUMBERS)))
    model = model_rows(segments, numbers, named, "run")
    warehouse.create("customer_segments", read_query("customer_segments"), model_parameters(model))
    with warehouse.connect() as connection:
        return connection.execute(
            "SELECT segment, segmentation_run FROM persona.customer_segments ORDER BY user_id"
        ).fetchall()
