"""Segments of buyers: how many, where they are, who is in which, what they are called."""

from collections.abc import Sequence
from dataclasses import asdict

import dagster as dg
import numpy as np
import pyarrow as pa
from pydantic import Field

from persona_assets import schemas
from persona_assets.assets.tables import described, materialized
from persona_assets.copywriting.bigquery_model import BigQueryModel
from persona_assets.copywriting.chat import ChatModel
from persona_assets.failures import asset
from persona_assets.reports.pictures import as_data_uri, draw_heat_map, draw_k_choice, draw_sizes
from persona_assets.segmentation import (
    FEATURES,
    NUMBERS,
    choose_k,
    fit_segments,
    hash_cutoff,
    match_segments,
    model_parameters,
    model_rows,
    name_segments,
    prepare,
)
from persona_assets.segmentation.handoff import ask_for_labels
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
        default=None,
        ge=1,
        le=20,
        description="Number of segments, 1 to 20; unset: the one with the best score.",
    )


@asset(**described(schemas.cluster_metrics, GROUP, deps=["parametric"], kinds=["scikitlearn"]))
def cluster_metrics(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    scaled, _ = prepare(_array(_fitting_sample(warehouse), FEATURES))
    choices = choose_k(
        scaled,
        settings.k_min,
        settings.k_max,
        exact=settings.k_exact,
        progress=context.log.info,
    )
    receipt = _write(
        warehouse, schemas.cluster_metrics, [asdict(choice) for choice in choices]
    )
    chosen = next((choice for choice in choices if choice.chosen), None)
    extra: dict = {"k_choice": _picture(draw_k_choice(choices))}
    if chosen:
        extra |= {
            "k": chosen.k,
            "tied": [choice.k for choice in choices if choice.tied],
            "silhouette": chosen.silhouette or 0.0,
        }
    return materialized(warehouse, schemas.cluster_metrics, receipt, extra=extra)


@asset(
    **described(
        schemas.centroids, GROUP, deps=["parametric", "cluster_metrics"], kinds=["scikitlearn"]
    )
)
def centroids(
    context: dg.AssetExecutionContext,
    config: SegmentationConfig,
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    sample = _fitting_sample(warehouse)
    before = _read_model(warehouse) if warehouse.exists("centroids") else []
    rows, kept = [], []
    if sample.num_rows:
        k = config.k or _chosen_k(warehouse)
        fitted = fit_segments(_array(sample, FEATURES), k)
        kept = match_segments(
            fitted.centres,
            fitted.scale.scaled_logs(_matrix(before, "centre_")),
            [row["segment"] for row in before],
            max((row["last_number"] for row in before), default=0),
        )
        rows = model_rows(fitted, _array(sample, NUMBERS), kept, context.run.run_id)
    receipt = _write(warehouse, schemas.centroids, rows)
    named = [{"segment": name, "moved by": distance} for name, distance in kept]
    extra = {
        "segments": dg.MetadataValue.md(as_markdown(named)),
        "heat_map": _picture(draw_heat_map(rows)),
        "k": len(rows),
        "new_segments": [name for name, distance in kept if distance is None],
    }
    return materialized(warehouse, schemas.centroids, receipt, extra=extra)


@asset(**described(schemas.customer_segments, GROUP, query="customer_segments",
                      deps=["centroids"]))  # fmt: skip
def customer_segments(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:
    known = warehouse.exists("customer_segments")
    if known:
        warehouse.create("previous_segments", read_query("previous_segments"), {})
    receipt = warehouse.create(
        "customer_segments",
        read_query("customer_segments"),
        model_parameters(_read_model(warehouse)),
    )
    if not known:
        warehouse.create("previous_segments", read_query("previous_segments"), {})
    moves = warehouse.read(read_query("segment_moves"), {}).to_pylist()
    sizes = warehouse.read(read_query("segment_sizes"), {}).to_pylist()
    return materialized(
        warehouse,
        schemas.customer_segments,
        receipt,
        lineage={
            "user_id": [("parametric", "user_id")],
            "segment": [
                ("centroids", "segment"),
                *(("parametric", feature) for feature in FEATURES),
            ],
            "segmentation_run": [("centroids", "segmentation_run")],
        },
        extra={
            "sizes": _picture(draw_sizes(sizes)),
            "customers_moved": sum(move["customers"] for move in moves),
            "moves": dg.MetadataValue.md(as_markdown(moves)),
            "sql": dg.MetadataValue.md(f"```sql\n{read_query('customer_segments').text}```"),
        },
    )


@asset(**described(schemas.segment_labels, GROUP, code_version=RULES, deps=["centroids"]))
def segment_labels(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings], warehouse: dg.ResourceParam[Warehouse]
) -> dg.MaterializeResult:
    model = _read_model(warehouse)
    prospects = SegmentLabel(PROSPECTS_SEGMENT, *asdict(PROSPECTS).values(), "rules", RULES)
    if settings.labels == "hand_on":
        labels = read_labels(settings.labels_file, [row["segment"] for row in model])
    elif settings.labels == "hand_off":
        asked = (
            BigQueryModel.from_settings(settings, warehouse)
            if settings.writer == "bigquery"
            else ChatModel.from_settings(settings)
        )
        labels = [*ask_for_labels(asked, model, context.log.info), prospects]
    else:
        named = name_segments(_matrix(model, ""), [row["customers"] for row in model])
        labels = [
            SegmentLabel(row["segment"], *asdict(label).values(), "rules", RULES)
            for row, label in zip(model, named, strict=True)
        ]
        labels.append(prospects)
    rows = [asdict(label) for label in labels]
    receipt = _write(warehouse, schemas.segment_labels, rows)
    return materialized(
        warehouse,
        schemas.segment_labels,
        receipt,
        lineage={
            column: [("centroids", number) for number in NUMBERS]
            for column in ("segment_label", "designation")
            if settings.labels != "hand_on"
        },
        extra={"preview": dg.MetadataValue.md(as_markdown(rows))},  # all of them
    )


def _picture(png: bytes) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(f"![]({as_data_uri(png)})")


def _fitting_sample(warehouse: Warehouse) -> pa.Table:
    buyers = warehouse.read(read_query("buyer_count"), {})["buyers"][0].as_py()
    cutoff = hash_cutoff(buyers, FITTED_CUSTOMERS)
    return warehouse.read(
        read_query("fitting_sample"), {"customers": FITTED_CUSTOMERS, "cutoff": cutoff}
    )


def _array(table: pa.Table, names: Sequence[str]) -> np.ndarray:
    return np.column_stack([table[name].to_numpy() for name in names]).astype(float)


def _read_model(warehouse: Warehouse) -> list[dict]:
    return warehouse.read(read_query("centroids"), {}).to_pylist()


def _matrix(model: list[dict], prefix: str) -> np.ndarray:
    """The numbers of the centroids, or with the prefix centre_ those of the features, one row per
    segment."""
    names = FEATURES if prefix else NUMBERS
    rows = [[row[prefix + name] for name in names] for row in model]
    return np.array(rows).reshape(len(model), len(names))


def _chosen_k(warehouse: Warehouse) -> int:
    metrics = warehouse.read(read_query("cluster_metrics"), {}).to_pylist()
    return next(row["k"] for row in metrics if row["chosen"])


def _write(warehouse: Warehouse, model: type[schemas.Table], rows: list[dict]) -> Receipt:
    schema = schemas.arrow_schema(model)
    batch = pa.RecordBatch.from_pylist(rows, schema=schema)
    return warehouse.replace(model.__name__, schema, [batch])
