"""What every asset that is a table shows in the Dagster UI: before it runs and after."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from persona_assets import schemas
from persona_assets.lineage import column_sources
from persona_assets.text import as_markdown
from persona_assets.warehouse import Receipt, Warehouse, read_query
from persona_assets.warehouse.base import OUR_DATASET

OWNERS = {
    "source": ["team:data-engineering"],
    "behaviour": ["team:data-engineering"],
    "segmentation": ["team:analytics"],
    "emails": ["team:crm"],
    "reports": ["team:crm"],
}
_PREVIEW_ROWS = 5


def described(
    model: type[schemas.Table],
    group: str,
    *,
    query: str | None = None,
    code_version: str = "1",
    deps: Iterable[str] = (),
    kinds: Iterable[str] = (),
) -> dict[str, Any]:
    """Arguments of @dg.asset for a table: name, description, column schema, owners, and, where
    sql/<query>.sql makes the table, the dependencies and the code version that the query gives."""
    upstream = set(deps)
    if query is not None:
        upstream |= {table for _, table in read_query(query).tables()}
        code_version = f"{code_version}-{read_query(query).version}"
    return {
        "name": model.__name__,
        "deps": sorted(upstream - {model.__name__, "drafts"}),
        "kinds": {"table", *kinds, *(["sql"] if query else ["python"])},
        "group_name": group,
        "owners": OWNERS[group],
        "code_version": code_version,
        "description": describe(model),
        "metadata": {"dagster/column_schema": column_schema(model)},
    }


def describe(model: type[schemas.Table]) -> str:
    """What the table is, from its model's docstring."""
    return inspect.cleandoc(model.__doc__ or "")


def column_schema(model: type[schemas.Table]) -> dg.TableSchema:
    """The table's columns with type and meaning."""
    keys = schemas.key(model)
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name,
                type=str(spec.dtype),
                description=spec.description,
                constraints=dg.TableColumnConstraints(
                    nullable=spec.nullable, unique=keys == [name]
                ),
            )
            for name, spec in schemas.columns(model).items()
        ]
    )


def materialized(
    warehouse: Warehouse,
    model: type[schemas.Table],
    receipt: Receipt,
    *,
    query: str | None = None,
    lineage: Mapping[str, list[tuple[str, str]]] | None = None,
    dataset: str = OUR_DATASET,
    data_version: str | None = None,
    extra: Mapping[str, Any] | None = None,
    **result: Any,
) -> dg.MaterializeResult:
    """The materialization of a table: row count, where it is, seconds, column lineage, preview."""
    metadata: dict[str, Any] = {
        "dagster/row_count": receipt.rows,
        "dagster/table_name": receipt.table,
        "dagster/storage_kind": warehouse.kind,
        "query_seconds": round(receipt.seconds, 3),
    }
    if query is not None:
        lineage = column_sources(query)
        metadata["sql"] = dg.MetadataValue.md(f"```sql\n{read_query(query).text}```")
    if lineage:
        metadata["dagster/column_lineage"] = dg.TableColumnLineage(
            {
                column: [dg.TableColumnDep(dg.AssetKey(table), name) for table, name in sources]
                for column, sources in lineage.items()
                if sources
            }
        )
        metadata["computed_from"] = dg.MetadataValue.md(_linked(lineage))
    if model is not schemas.emails:
        metadata["preview"] = dg.MetadataValue.md(_preview(warehouse, model, dataset))
    return dg.MaterializeResult(
        metadata={**metadata, **(extra or {})},
        data_version=dg.DataVersion(data_version) if data_version else None,
        **result,
    )


def _linked(lineage: Mapping[str, list[tuple[str, str]]]) -> str:
    """The lineage as a table of links to the assets it comes from: what Dagster itself makes of
    dagster/column_lineage is not in its open-source UI."""
    lines = ["| column | computed from |", "| --- | --- |"]
    for column, sources in lineage.items():
        linked = ", ".join(f"[{table}.{name}](/assets/{table})" for table, name in sources)
        lines.append(f"| {column} | {linked} |")
    return "\n".join(lines)


def shown_rows(warehouse: Warehouse, table: str, dataset: str = OUR_DATASET) -> list[dict]:
    """The first few rows of a table."""
    with warehouse.ibis_table(table, dataset) as expression:
        return expression.limit(_PREVIEW_ROWS).to_pyarrow().to_pylist()


def _preview(warehouse: Warehouse, model: type[schemas.Table], dataset: str) -> str:
    return as_markdown(shown_rows(warehouse, model.__name__, dataset))
