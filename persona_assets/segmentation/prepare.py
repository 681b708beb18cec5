"""From numbers in their own units to the numbers that k-means measures distances in."""

from dataclasses import dataclass

import numpy as np

# What describes a customer: orders, mean revenue per order and revenue in USD, months, orders per
# month.
NUMBERS = (
    "total_orders",
    "avg_basket",
    "total_revenue",
    "months_since_last_order",
    "freq_orders_per_month",
)
# What distances are measured in: frequency, monetary value, recency. Why these three:
# docs/segmentation.md.
FEATURES = ("total_orders", "total_revenue", "months_since_last_order")


def hash_cutoff(buyers: int, wanted: int) -> str:
    """A hexadecimal MD5 that, of so many buyers, few more than `wanted` are below; all of them
    where that is not many more. A tenth to spare is thirty standard deviations at 100,000."""
    share = 1.1 * wanted / max(buyers, 1)
    return "g" if share >= 1 else f"{int(share * 16**8):08x}"


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of LN(1 + feature), one of each per feature."""

    mean: np.ndarray
    deviation: np.ndarray

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Features in their own units, scaled; negative ones (a refund larger than the
        purchase) count as 0."""
        return self.scaled_logs(np.log1p(np.maximum(features, 0)))

    def scaled_logs(self, logs: np.ndarray) -> np.ndarray:
        """LN(1 + feature), scaled."""
        return (logs - self.mean) / self.deviation

    def logs(self, scaled: np.ndarray) -> np.ndarray:
        """LN(1 + feature) of scaled features."""
        return scaled * self.deviation + self.mean


def prepare(features: np.ndarray) -> tuple[np.ndarray, Scale]:
    """Standardise LN(1 + feature): orders and revenue have long tails, which would otherwise
    decide every distance.

    features: (customers, 3), columns as in FEATURES. Returns the scaled array and the scale. A
    feature that is the same for everyone becomes 0. Raises ValueError, naming the features, on
    NaN and infinity.
    """
    absurd = (~np.isfinite(features)).sum(axis=0)
    if absurd.any():
        named = [f"{name} ({n})" for name, n in zip(FEATURES, absurd, strict=True) if n]
        raise ValueError(f"Features that are NaN or infinite: {', '.join(named)}.")
    if not len(features):
        none = np.zeros(features.shape[1])
        return features, Scale(none, none + 1)
    logged = np.log1p(np.maximum(features, 0))
    deviation = logged.std(axis=0)
    deviation[deviation < 1e-9] = 1.0
    scale = Scale(logged.mean(axis=0), deviation)
    return scale.apply(features), scale
