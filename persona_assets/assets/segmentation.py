"""Segments of buyers: how many, where they are, who is in which, what they are called."""

from dataclasses import asdict

import dagster as dg
import numpy as np
import pyarrow as pa
from pydantic import Field

from persona_assets import schemas
from persona_assets.assets.tables import described, materialized
from persona_assets.reports.pictures import as_data_uri, draw_k_choice
from persona_assets.segmentation import FEATURES, choose_k, fit_segments, name_segments, prepare
from persona_assets.segmentation.labels import PROSPECTS_SEGMENT, SegmentLabel, read_labels
from persona_assets.segmentation.name import PROSPECTS, RULES
from persona_assets.settings import Settings
from persona_assets.text import as_markdown
from persona_assets.warehouse import Receipt, Warehouse, read_query

GROUP = "segmentation"
FITTED_CUSTOMERS = 100_000


class SegmentationConfig(dg.Config):
    """How many segments."""

    k: int | None = Field(
        default=None, ge=1, description="Number of segments; unset: the one with the best score."
    )


@dg.asset(**described(schemas.cluster_metrics, GROUP, deps=["parametric"], kinds=["scikitlearn"]))
def cluster_metrics(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    scaled, _ = prepare(_fitting_sample(warehouse))
    choices = choose_k(scaled, settings.k_min, settings.k_max, progress=context.log.info)
    receipt = _write(
        warehouse, schemas.cluster_metrics, [asdict(choice) for choice in choices]
    )
    chosen = next((choice for choice in choices if choice.chosen), None)
    extra = {"k_choice": dg.MetadataValue.md(f"![k]({as_data_uri(draw_k_choice(choices))})")}
    if chosen:
        extra |= {"k": chosen.k, "silhouette": chosen.silhouette or 0.0}
    return materialized(warehouse, schemas.cluster_metrics, receipt, extra=extra)


@dg.asset(
    **described(
        schemas.centroids, GROUP, deps=["parametric", "cluster_metrics"], kinds=["scikitlearn"]
    )
)
def centroids(
    context: dg.AssetExecutionContext,
    config: SegmentationConfig,
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    features = _fitting_sample(warehouse)
    rows = []
    if len(features):
        k = config.k or _chosen_k(warehouse)
        segments = fit_segments(features, k, FEATURES.index("total_revenue"))
        for i in range(k):
            rows.append(
                {
                    "segment": f"seg_{i + 1}",
                    "customers": int(segments.customers[i]),
                    **dict(zip(FEATURES, segments.means[i].tolist(), strict=True)),
                    "intercept": float(segments.intercept[i]),
                    **{
                        f"weight_{feature}": weight
                        for feature, weight in zip(
                            FEATURES, segments.weights[i].tolist(), strict=True
                        )
                    },
                    "segmentation_run": context.run.run_id,
                }
            )
    receipt = _write(warehouse, schemas.centroids, rows)
    return materialized(warehouse, schemas.centroids, receipt)


@dg.asset(**described(schemas.customer_segments, GROUP, query="customer_segments"))
def customer_segments(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:
    receipt = warehouse.create("customer_segments", read_query("customer_segments"), {})
    return materialized(
        warehouse, schemas.customer_segments, receipt, query="customer_segments"
    )


@dg.asset(**described(schemas.segment_labels, GROUP, deps=["centroids"]))
def segment_labels(
    settings: dg.ResourceParam[Settings], warehouse: dg.ResourceParam[Warehouse]
) -> dg.MaterializeResult:
    model = warehouse.read(read_query("centroids"), {}).to_pylist()
    if settings.labels_file:
        labels = read_labels(settings.labels_file, [row["segment"] for row in model])
    else:
        means = np.array([[row[feature] for feature in FEATURES] for row in model])
        named = name_segments(means, [row["customers"] for row in model])
        labels = [
            SegmentLabel(row["segment"], *asdict(label).values(), "rules", RULES)
            for row, label in zip(model, named, strict=True)
        ]
        labels.append(
            SegmentLabel(PROSPECTS_SEGMENT, *asdict(PROSPECTS).values(), "rules", RULES)
        )
    rows = [asdict(label) for label in labels]
    receipt = _write(warehouse, schemas.segment_labels, rows)
    return materialized(
        warehouse,
        schemas.segment_labels,
        receipt,
        lineage={
            column: [("centroids", feature) for feature in FEATURES]
            for column in ("segment_label", "designation")
            if not settings.labels_file
        },
        extra={"labels": dg.MetadataValue.md(as_markdown(rows))},
    )


def _fitting_sample(warehouse: Warehouse) -> np.ndarray:
    rows = warehouse.read(read_query("fitting_sample"), {"customers": FITTED_CUSTOMERS})
    return np.column_stack([rows[feature].to_numpy() for feature in FEATURES]).astype(float)


def _chosen_k(warehouse: Warehouse) -> int:
    metrics = warehouse.read(read_query("cluster_metrics"), {}).to_pylist()
    return next(row["k"] for row in metrics if row["chosen"])


def _write(warehouse: Warehouse, model: type[schemas.Table], rows: list[dict]) -> Receipt:
    schema = schemas.arrow_schema(model)
    batch = pa.RecordBatch.from_pylist(rows, schema=schema)
    return warehouse.replace(model.__name__, schema, [batch])
