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
            **{
                f"deviation_{name}": float(deviation)
                for name, deviation in zip(FEATURES, fitted.scale.deviation, strict=True)
            },
            "last_number": last,
            "segmentation_run": run,
        }
        for i in range(k)
    ]


def model_parameters(model: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The parameters of customer_segments.sql: @weights, which are 1 over the deviations, and
    @model, the name and the centre of each segment, the centre times the weights.

    model: rows of centroids. Without any there are no buyers, and @model has an element without
    a name, because the type of an empty array is not known.
    """
    weights = [1 / model[0][f"deviation_{name}"] if model else 0.0 for name in FEATURES]
    centres = [
        [row[f"centre_{name}"] * weight for name, weight in zip(FEATURES, weights, strict=True)]
        for row in model
    ]
    return {
        "weights": weights,
        "model": [
            {"segment": row["segment"], "centre": centre}
            for row, centre in zip(model, centres, strict=True)
        ]
        or [{"segment": "", "centre": weights}],
        "segmentation_run": model[0]["segmentation_run"] if model else None,
    }
