"""What every asset that is a table shows in the Dagster UI: before it runs and after."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
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
# Who made a row and when is not what it says: the same content by another run is the same version.
PAPERS = {"segmentation_run", "run_id", "written_at"}
_PREVIEW_ROWS = 5
_PACKAGE = Path(__file__).parents[1]


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
        "tags": tags(model),
        "code_version": code_version,
        "description": schemas.describe(model),
        "metadata": {"dagster/column_schema": column_schema(model)},
    }


def version_of(*patterns: str) -> str:
    """The version of files of the package, such as templates: changes when one of them does."""
    digest = hashlib.sha256()
    for pattern in patterns:
        for file in sorted(_PACKAGE.glob(pattern)):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def tags(model: type[schemas.Table]) -> dict[str, str]:
    """personal-data: the table has names or addresses."""
    return {"personal-data": ""} if {"first_name", "email"} & {*schemas.columns(model)} else {}


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
    where: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
    **result: Any,
) -> dg.MaterializeResult:
    """The materialization of a table: row count, where it is, seconds, the job and its cost,
    column lineage, preview, and as the data version what is in it, or in its rows `where` a column
    has a value."""
    metadata: dict[str, Any] = {
        "dagster/row_count": receipt.rows,
        "dagster/table_name": receipt.table,
        "dagster/storage_kind": warehouse.kind,
        "query_seconds": round(receipt.seconds, 3),
        **_job(receipt),
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
    if model is not schemas.emails:
        metadata["preview"] = dg.MetadataValue.md(_preview(warehouse, model, dataset))
    metadata |= extra or {}
    if lineage:
        metadata["computed_from"] = dg.MetadataValue.md(_linked(lineage))
    return dg.MaterializeResult(
        metadata=metadata,
        data_version=data_version(warehouse, model, PAPERS, dataset, where),
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


def data_version(
    warehouse: Warehouse,
    model: type[schemas.Table],
    apart_from: Collection[str],
    dataset: str = OUR_DATASET,
    where: Mapping[str, str] | None = None,
) -> dg.DataVersion:
    """The version of what a table holds, apart from some columns."""
    content = [column for column in schemas.columns(model) if column not in apart_from]
    return dg.DataVersion(warehouse.fingerprint(model.__name__, content, dataset, where))


def _job(receipt: Receipt) -> dict[str, Any]:
    """The job that did it and what it cost, in a warehouse that has jobs."""
    if receipt.job is None:
        return {}
    figures = asdict(receipt.job)
    link = dg.MetadataValue.url(figures.pop("link"))
    known = {f"job_{name}": value for name, value in figures.items() if value is not None}
    return {**known, "job_link": link}


def shown_rows(warehouse: Warehouse, table: str, dataset: str = OUR_DATASET) -> list[dict]:
    """The first few rows of a table."""
    with warehouse.ibis_table(table, dataset) as expression:
        return expression.limit(_PREVIEW_ROWS).to_pyarrow().to_pylist()


def _preview(warehouse: Warehouse, model: type[schemas.Table], dataset: str) -> str:
    return as_markdown(shown_rows(warehouse, model.__name__, dataset))
