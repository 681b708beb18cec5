"""Names for segments, by rules from where each centroid stands."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from persona_assets.segmentation.prepare import NUMBERS

RULES = "rules-1"

RECENT_MONTHS = 6
LAPSED_MONTHS = 12
REPEAT_ORDERS = 1.5
REGULAR_ORDERS = 4


@dataclass(frozen=True)
class Label:
    """A segment's name (at most five words) and one sentence about it."""

    segment_label: str
    designation: str


PROSPECTS = Label("Prospects", "Customers with an account and no order yet.")


def name_segments(means: np.ndarray, customers: Sequence[int]) -> list[Label]:
    """A label per segment, all different.

    means: (segments, 5) in their own units, columns as in NUMBERS; customers: how many
    each segment has. The name says recency (recent up to RECENT_MONTHS, dormant beyond
    LAPSED_MONTHS, lapsing between), value (mean revenue from 1.5 times that of all customers
    high, if there is any; below half of it low) and habit (mean orders below 1.5 one-timers, from
    4 regulars). Segments that share these are told apart by basket, or numbered by revenue.
    Raises ValueError on NaN and infinity, which no rule would fit.
    """
    if len(means) == 0:
        return []
    if not np.isfinite(means).all():
        raise ValueError("The means of the segments hold NaN or infinity.")
    rows = [dict(zip(NUMBERS, row, strict=True)) for row in means]
    revenue = float(np.average(means[:, NUMBERS.index("total_revenue")], weights=customers))
    alike: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        alike[f"{_recency(row)} {_value(row, revenue)} {_habit(row)}"].append(index)
    names = [""] * len(rows)
    for name, indexes in alike.items():
        for index, suffix in zip(indexes, _apart(rows, indexes), strict=True):
            names[index] = name + suffix
    return [Label(name, _designation(row)) for name, row in zip(names, rows, strict=True)]


def _recency(row: dict[str, float]) -> str:
    months = row["months_since_last_order"]
    if months <= RECENT_MONTHS:
        return "Recent"
    return "Lapsing" if months <= LAPSED_MONTHS else "Dormant"


def _value(row: dict[str, float], revenue: float) -> str:
    if row["total_revenue"] > 0 and row["total_revenue"] >= 1.5 * revenue:
        return "high-value"
    return "low-value" if row["total_revenue"] < 0.5 * revenue else "mid-value"


def _habit(row: dict[str, float]) -> str:
    if row["total_orders"] < REPEAT_ORDERS:
        return "one-timers"
    return "repeaters" if row["total_orders"] < REGULAR_ORDERS else "regulars"


def _apart(rows: list[dict[str, float]], indexes: list[int]) -> list[str]:
    if len(indexes) == 1:
        return [""]
    if len(indexes) == 2:
        first, second = (rows[index]["avg_basket"] for index in indexes)
        if round(first, 2) != round(second, 2):
            big, small = ", bigger baskets", ", smaller baskets"
            return [big, small] if first > second else [small, big]
    return [f", group {number}" for number in range(1, len(indexes) + 1)]


def _designation(row: dict[str, float]) -> str:
    return (
        f"{row['total_orders']:.1f} orders of {row['avg_basket']:,.0f} USD on average, the newest "
        f"{row['months_since_last_order']:.1f} months ago."
    )
