"""The shop's five tables, loaded from a folder or from the sample shop, and the countries."""

import dagster as dg

from persona_assets import schemas
from persona_assets.assets.tables import OWNERS, column_schema, describe, described, materialized
from persona_assets.languages import countries as all_countries
from persona_assets.settings import Settings
from persona_assets.source import inspect_source, source_folder
from persona_assets.warehouse import Warehouse
from persona_assets.warehouse.base import SOURCE_DATASET

GROUP = "source"


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
            code_version="1",
            skippable=True,
            metadata={"dagster/column_schema": column_schema(model)},
        )
        for model in schemas.SOURCES
    ],
)
def sources(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    warehouse: dg.ResourceParam[Warehouse],
):
    """Load the selected source tables, all or none of them."""
    folder = source_folder(settings)
    tables = {table.name: table for table in inspect_source(folder)}
    selected = {key.to_user_string() for key in context.selected_asset_keys}
    loaded = warehouse.load(
        {name: table.select for name, table in tables.items() if name in selected}
    )
    for model in schemas.SOURCES:
        name = model.__name__
        if name in loaded:
            receipt, version = loaded[name]
            yield materialized(
                warehouse,
                model,
                receipt,
                dataset=SOURCE_DATASET,
                data_version=version,
                asset_key=name,
                extra={"file": dg.MetadataValue.path(str(tables[name].file))},
            )


@dg.asset(**described(schemas.countries, GROUP))
def countries(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:
    table = all_countries()
    receipt = warehouse.replace("countries", table.schema, table.to_batches())
    return materialized(warehouse, schemas.countries, receipt)
