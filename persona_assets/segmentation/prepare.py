"""From features in their own units to the numbers that k-means measures distances in."""

from dataclasses import dataclass

import numpy as np

FEATURES = (
    "total_orders",
    "avg_basket",
    "total_revenue",
    "months_since_last_order",
    "freq_orders_per_month",
)


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of LN(1 + feature), one of each per feature."""

    mean: np.ndarray
    deviation: np.ndarray


def prepare(features: np.ndarray) -> tuple[np.ndarray, Scale]:
    """Standardise LN(1 + feature): baskets and counts have long tails, which would otherwise
    decide every distance.

    features: (customers, 5), columns as in FEATURES; negative values (a refund larger than the
    purchase) count as 0. Returns the scaled array and the scale. A feature that is the same for
    everyone becomes 0. Raises ValueError, naming the features, on NaN and infinity.
    """
    absurd = (~np.isfinite(features)).sum(axis=0)
    if absurd.any():
        named = [f"{name} ({n})" for name, n in zip(FEATURES, absurd, strict=True) if n]
        raise ValueError(f"Features that are NaN or infinite: {', '.join(named)}.")
    if not len(features):
        return features, Scale(np.zeros(features.shape[1]), np.ones(features.shape[1]))
    logged = np.log1p(np.maximum(features, 0))
    mean = logged.mean(axis=0)
    deviation = logged.std(axis=0)
    deviation[deviation < 1e-9] = 1.0
    return (logged - mean) / deviation, Scale(mean, deviation)
