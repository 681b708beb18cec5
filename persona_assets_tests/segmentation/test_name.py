"""Names for segments: short, all different, and true to the numbers."""

import itertools
import re

import numpy as np
import pytest

from persona_assets.segmentation import FEATURES, Label, name_segments
from persona_assets.segmentation.name import PROSPECTS


def segment(orders=2.0, basket=50.0, revenue=100.0, months=3.0, frequency=0.5) -> list[float]:
    return [orders, basket, revenue, months, frequency]


def names(*segments: list[float], customers: list[int] | None = None) -> list[str]:
    labels = name_segments(np.array(segments), customers or [10] * len(segments))
    return [label.segment_label for label in labels]


@pytest.mark.parametrize(
    ("months", "word"),
    [(0, "Recent"), (6, "Recent"), (6.01, "Lapsing"), (12, "Lapsing"), (12.01, "Dormant")],
)
def test_the_name_says_recency(months, word):
    assert names(segment(months=months))[0].split()[0] == word


@pytest.mark.parametrize(
    ("revenue", "word"),
    [(150, "high-value"), (149, "mid-value"), (50, "mid-value"), (49, "low-value")],
)
def test_the_name_says_value_against_the_mean_of_all_customers(revenue, word):
    # A segment of nobody leaves the mean at 100.
    named = names(segment(), segment(revenue=revenue, months=20), customers=[10, 0])
    assert named[1].split()[1] == word


def test_the_mean_of_all_customers_counts_each_of_them():
    rich, poor = segment(revenue=400, months=1), segment(revenue=100, months=20)
    assert names(rich, poor, customers=[1, 99])[0].split()[1] == "high-value"
    assert names(rich, poor, customers=[99, 1])[0].split()[1] == "mid-value"


@pytest.mark.parametrize(
    ("orders", "word"),
    [(1, "one-timers"), (1.49, "one-timers"), (1.5, "repeaters"), (3.99, "repeaters"),
     (4, "regulars")],
)  # fmt: skip
def test_the_name_says_habit(orders, word):
    assert names(segment(orders=orders))[0].split()[2] == word


@pytest.mark.parametrize("revenue", [0.0, -40.0])
def test_nobody_is_of_high_value_without_revenue(revenue):
    named = names(segment(revenue=revenue, months=1), segment(revenue=revenue, months=20))
    assert not any("high-value" in name for name in named)


def test_losses_are_of_low_value():
    assert names(segment(revenue=-5), segment(revenue=-95))[1].split()[1] == "low-value"


def test_two_alike_are_told_apart_by_basket():
    assert names(segment(basket=40), segment(basket=60)) == [
        "Recent mid-value repeaters, smaller baskets",
        "Recent mid-value repeaters, bigger baskets",
    ]


@pytest.mark.parametrize("baskets", [(50, 50), (50, 50.001), (40, 50, 60)])
def test_more_alike_or_with_the_same_basket_are_numbered(baskets):
    assert names(*(segment(basket=basket) for basket in baskets)) == [
        f"Recent mid-value repeaters, group {number + 1}" for number in range(len(baskets))
    ]


def test_names_are_all_different_and_at_most_five_words():
    values = itertools.product((1, 2, 6), (10, 90), (0, 100, 900), (1, 9, 30))
    every = [segment(orders, basket, revenue, months) for orders, basket, revenue, months in values]
    thrice = [*every, *(row for row in every if row[1] == 10 and row[2] == 100)]
    for rows in (every, thrice):
        named = names(*rows)
        assert len({name.lower() for name in [*named, PROSPECTS.segment_label]}) == len(rows) + 1
        assert max(len(name.split()) for name in named) <= 5


@pytest.mark.parametrize("seed", range(20))
def test_names_agree_with_the_numbers(seed):
    random = np.random.default_rng(seed)
    means = random.uniform(0, [8, 300, 900, 30, 3], size=(int(random.integers(1, 13)), 5))
    customers = random.integers(1, 500, size=len(means))
    mean_revenue = np.average(means[:, 2], weights=customers)
    labels = name_segments(means, customers.tolist())
    assert len({label.segment_label for label in labels}) == len(means)
    for row, label in zip(means, labels, strict=True):
        words = re.split(r"[ ,]+", label.segment_label)
        assert len(words) <= 5
        said = set(words[:3])
        assert ("Recent" in said) == (row[3] <= 6)
        assert ("Dormant" in said) == (row[3] > 12)
        assert ("high-value" in said) == (row[2] >= 1.5 * mean_revenue)
        assert ("low-value" in said) == (row[2] < 0.5 * mean_revenue)
        assert ("one-timers" in said) == (row[0] < 1.5)
        assert ("regulars" in said) == (row[0] >= 4)


def test_the_designation_says_the_numbers():
    assert name_segments(np.array([segment(1.25, 1234.5, 1543, 7.06)]), [3]) == [
        Label(
            "Lapsing mid-value one-timers",
            "1.2 orders of 1,234 USD on average, the newest 7.1 months ago.",
        )
    ]


def test_no_segments_have_no_names():
    assert name_segments(np.array([]), []) == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("column", range(len(FEATURES)))
def test_what_is_not_finite_gets_no_name(value, column):
    broken = segment()
    broken[column] = value
    with pytest.raises(ValueError, match="NaN or infinity"):
        name_segments(np.array([segment(), broken]), [10, 10])
