"""Which features and which scale make segments that are stable and that say something.

For each candidate: the k that choose_k takes, the stability of that segmentation (mean adjusted
Rand index over bootstraps), the share of its smallest segment, and how much of the variance of
orders, revenue and recency (their logarithms) the segments explain (eta squared), which is the
same yardstick for all candidates. Prints a Markdown table.
"""

import argparse
import tempfile
from datetime import date
from pathlib import Path

import numpy as np
from segmentation import described_shop, numbers_of
from sklearn.cluster import KMeans
from sklearn.preprocessing import RobustScaler, StandardScaler

from persona_assets import sample
from persona_assets.segmentation import NUMBERS, choose_k
from persona_assets.segmentation.choose import SEARCH_ROWS

ORDERS, BASKET, REVENUE, MONTHS, RATE = range(5)
CANDIDATES = {
    "all five": [ORDERS, BASKET, REVENUE, MONTHS, RATE],
    "without the rate": [ORDERS, BASKET, REVENUE, MONTHS],
    "without revenue": [ORDERS, BASKET, MONTHS, RATE],
    "orders, revenue, recency": [ORDERS, REVENUE, MONTHS],
    "orders, basket, recency": [ORDERS, BASKET, MONTHS],
    "rate, revenue, recency": [RATE, REVENUE, MONTHS],
    "revenue, recency": [REVENUE, MONTHS],
}
SCALES = {
    "LN(1 + x), standardised": lambda x: StandardScaler().fit_transform(np.log1p(x)),
    "robust (median, quartiles)": lambda x: RobustScaler().fit_transform(x),
    "standardised": lambda x: StandardScaler().fit_transform(x),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, help="folder of a shop; without it, the sample shop")
    parser.add_argument("--as-of", type=date.fromisoformat, default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="persona-bench-") as folder:
        source = arguments.source or sample.write(Path(folder) / "shop", customers=30_000, seed=7)
        warehouse = described_shop(Path(folder) / "shop.duckdb", source, arguments.as_of)
        numbers = np.maximum(numbers_of(warehouse, SEARCH_ROWS), 0)
    assert numbers.shape[1] == len(NUMBERS)
    print("| features | scale | k | stability | smallest | orders | revenue | recency | mean |")
    print("|---|---|---|---|---|---|---|---|---|")
    for features, columns in CANDIDATES.items():
        for scale, transform in SCALES.items():
            scaled = transform(numbers[:, columns])
            best = next(choice for choice in choose_k(scaled, 3, 8) if choice.chosen)
            labels = KMeans(best.k, n_init=10, random_state=0).fit(scaled).labels_
            explained = [
                explained_by(labels, np.log1p(numbers[:, column]))
                for column in (ORDERS, REVENUE, MONTHS)
            ]
            shown = [*explained, float(np.mean(explained))]
            print(
                f"| {features} | {scale} | {best.k} | {best.stability:.2f} "
                f"| {np.bincount(labels).min() / len(labels):.1%} | "
                + " | ".join(f"{value:.2f}" for value in shown)
                + " |",
                flush=True,
            )


def explained_by(labels: np.ndarray, values: np.ndarray) -> float:
    """Eta squared: the share of the variance that is between the labels."""
    counts = np.bincount(labels)
    means = np.bincount(labels, weights=values) / counts
    between = (counts * (means - values.mean()) ** 2).sum()
    return float(between / ((values - values.mean()) ** 2).sum())


if __name__ == "__main__":
    main()
