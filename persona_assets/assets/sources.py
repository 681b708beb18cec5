"""The shop's five tables, the countries, and who must not be written to.

On DuckDB the five are loaded from a folder or from the sample shop; on BigQuery they stay where
they are and are observed.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pyarrow as pa

from persona_assets import schemas
from persona_assets.assets.tables import OWNERS, column_schema, described, materialized, tags
from persona_assets.failures import asset, told
from persona_assets.languages import countries as all_countries
from persona_assets.settings import Settings
from persona_assets.source import (
    SOURCE_STATE,
    SourceRefused,
    file_state,
    inspect_source,
    source_folder,
    table_state,
)
from persona_assets.suppression import read_suppression_list, suppression_file
from persona_assets.warehouse import Warehouse, read_query
from persona_assets.warehouse.base import SOURCE_DATASET

GROUP = "source"
LOADABLE = "can_be_loaded"
_BATCH = 50_000


def _specs(kind: str, skippable: bool) -> list[dg.AssetSpec]:
    return [
        dg.AssetSpec(
            model.__name__,
            description=schemas.describe(model),
            group_name=GROUP,
            owners=OWNERS[GROUP],
            kinds={"table", kind},
            tags=tags(model),
            code_version="1",
            skippable=skippable,
            metadata={"dagster/column_schema": column_schema(model)},
        )
        for model in schemas.SOURCES
    ]


@dg.multi_asset(
    name="sources",
    can_subset=True,
    specs=_specs("parquet", skippable=True),
    check_specs=[
        dg.AssetCheckSpec(
            LOADABLE,
            asset=model.__name__,
            blocking=True,
            description="Its file is there, has every column that is needed, in a type that can be "
            "read, and no key twice. If not, none of the five is loaded: they stay as they were.",
        )
        for model in schemas.SOURCES
    ],
)
@told
def sources(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    warehouse: dg.ResourceParam[Warehouse],
):
    """Load the selected source tables, all or none of them."""
    selected = {key.to_user_string() for key in context.selected_asset_keys}
    checked = {key.asset_key.to_user_string() for key in context.selected_asset_check_keys}
    try:
        found = inspect_source(source_folder(settings), settings.consent)
    except SourceRefused as refused:
        for name in sorted(checked):
            yield _loadable(name, refused.problems.get(name, []))
        raise
    tables = {table.name: table for table in found}
    # Taken first: a file that changes meanwhile is seen as changed.
    states = {name: file_state(tables[name].file) for name in selected}
    loaded = warehouse.load(
        {name: table.select for name, table in tables.items() if name in selected}
    )
    for model in schemas.SOURCES:
        name = model.__name__
        if name in loaded:
            yield materialized(
                warehouse,
                model,
                loaded[name],
                dataset=SOURCE_DATASET,
                asset_key=name,
                extra={
                    "file": dg.MetadataValue.path(str(tables[name].file)),
                    SOURCE_STATE: states[name],
                },
            )
        if name in checked:
            yield _loadable(name, [])


def _loadable(name: str, problems: list[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=name,
        check_name=LOADABLE,
        passed=not problems,
        description="\n".join(problems) or None,
    )


def observe_sources() -> dg.AssetsDefinition:
    """The five tables as observed assets, whose data version is the moment of their last change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.multi_observable_source_asset(
            name="sources", can_subset=True, specs=_specs("bigquery", skippable=False)
        )(told(_observe))


def _observe(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Any]):
    """Rows and last change of the selected source tables, without reading them."""
    selected = sorted(key.to_user_string() for key in context.selected_asset_keys)
    for name, seen in warehouse.observe(selected).items():
        yield dg.ObserveResult(
            asset_key=name,
            data_version=dg.DataVersion(seen.modified.isoformat()),
            metadata={
                "dagster/row_count": seen.rows,
                "dagster/table_name": seen.address,
                "dagster/storage_kind": warehouse.kind,
                "modified": dg.MetadataValue.timestamp(seen.modified),
                SOURCE_STATE: table_state(seen.rows, seen.modified),
            },
        )


@asset(**described(schemas.countries, GROUP))
def countries(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:
    table = all_countries()
    receipt = warehouse.replace("countries", table.schema, table.to_batches())
    return materialized(warehouse, schemas.countries, receipt)


@asset(**described(schemas.suppression_list, GROUP, deps=["users"]))
def suppression_list(
    settings: dg.ResourceParam[Settings], warehouse: dg.ResourceParam[Warehouse]
) -> dg.MaterializeResult:
    file = suppression_file(settings)
    state = file_state(file) if file else None
    listed = read_suppression_list(file) if file else []
    schema = schemas.arrow_schema(schemas.suppression_list)

    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pylist(listed, schema=schema)
        if settings.consent:
            for batch in warehouse.stream(read_query("without_consent"), {}, _BATCH):
                yield batch.cast(schema)

    receipt = warehouse.replace("suppression_list", schema, batches())
    extra = {"file": dg.MetadataValue.path(str(file)), SOURCE_STATE: state} if file else {}
    return materialized(warehouse, schemas.suppression_list, receipt, extra=extra)
