"""The fitted model as rows of the table centroids, and those rows as parameters of the query."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from persona_assets.segmentation.fit import Segments, mean_by_label
from persona_assets.segmentation.prepare import FEATURES, NUMBERS


def model_rows(
    fitted: Segments,
    numbers: np.ndarray,
    named: Sequence[tuple[str, float | None]],
    run: str,
) -> list[dict[str, Any]]:
    """Rows of centroids.

    numbers: (customers, 5), columns as in NUMBERS, of the fitted customers; named: from
    match_segments; run: the Dagster run.
    """
    k = len(fitted.customers)
    means = [mean_by_label(column, fitted.labels, k) for column in numbers.T]
    logs = fitted.scale.logs(fitted.centres)
    last = max(int(name.removeprefix("seg_")) for name, _ in named)
    return [
        {
            "segment": named[i][0],
            "customers": int(fitted.customers[i]),
            **{name: float(mean[i]) for name, mean in zip(NUMBERS, means, strict=True)},
            **{f"centre_{name}": float(v) for name, v in zip(FEATURES, logs[i], strict=True)},
            "intercept": float(fitted.intercept[i]),
            **{
                f"weight_{name}": float(weight)
                for name, weight in zip(FEATURES, fitted.weights[i], strict=True)
            },
            "last_number": last,
            "segmentation_run": run,
        }
        for i in range(k)
    ]


def score_parameters(model: Sequence[Mapping[str, Any]], places: int) -> dict[str, Any]:
    """The parameters of customer_segments.sql: arrays of so many places, of which @k count,
    intercepts and weights less those of the first segment, and beyond an intercept that no
    score comes near."""
    padding = places - len(model)

    def relative(name: str, beyond: float = 0.0) -> list[float]:
        return [row[name] - model[0][name] for row in model] + [beyond] * padding

    return {
        "k": len(model),
        "segments": [row["segment"] for row in model] + [""] * padding,
        "intercepts": relative("intercept", 1e300),
        "weights_orders": relative("weight_total_orders"),
        "weights_revenue": relative("weight_total_revenue"),
        "weights_months": relative("weight_months_since_last_order"),
        "segmentation_run": model[0]["segmentation_run"] if model else None,
    }
