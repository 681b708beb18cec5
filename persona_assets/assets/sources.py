"""The shop's five tables, loaded from a folder or from the sample shop, the countries, and who
must not be written to."""

from collections.abc import Iterator

import dagster as dg
import pyarrow as pa

from persona_assets import schemas
from persona_assets.assets.tables import (
    OWNERS,
    column_schema,
    describe,
    described,
    materialized,
    tags,
)
from persona_assets.failures import asset, told
from persona_assets.languages import countries as all_countries
from persona_assets.settings import Settings
from persona_assets.source import SOURCE_STATE, file_state, inspect_source, source_folder
from persona_assets.suppression import read_suppression_list, suppression_file
from persona_assets.warehouse import Warehouse, read_query
from persona_assets.warehouse.base import SOURCE_DATASET

GROUP = "source"
_BATCH = 50_000


@dg.multi_asset(
    name="sources",
    can_subset=True,
    specs=[
        dg.AssetSpec(
            model.__name__,
            description=describe(model),
            group_name=GROUP,
            owners=OWNERS[GROUP],
            kinds={"table", "parquet"},
            tags=tags(model),
            code_version="1",
            skippable=True,
            metadata={"dagster/column_schema": column_schema(model)},
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
    folder = source_folder(settings)
    tables = {table.name: table for table in inspect_source(folder, settings.consent)}
    selected = {key.to_user_string() for key in context.selected_asset_keys}
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
