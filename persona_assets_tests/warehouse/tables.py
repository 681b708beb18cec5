"""A small table for the tests of warehouses, and how to look at it."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import sqlglot

from persona_assets.warehouse import DuckDBWarehouse, Query, Warehouse

SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "language": pa.string(),
        "tags": pa.list_(pa.string()),
        "moment": pa.timestamp("us", tz="UTC"),
    }
)
NOON = datetime(2024, 3, 31, 12, 0, tzinfo=UTC)


def query(text: str, name: str = "some/query") -> Query:
    return Query(name, text, sqlglot.parse_one(text, read="bigquery"))


def row(number: int, language: str = "en") -> dict[str, Any]:
    return {"id": number, "language": language, "tags": ["a", "b"], "moment": NOON}


def batch(*rows: dict[str, Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), schema=SCHEMA)


def rows_of(warehouse: Warehouse, table: str = "t") -> list[dict]:
    return warehouse.read(query(f"SELECT * FROM persona.{table} ORDER BY id"), {}).to_pylist()


def partitions(warehouse: Warehouse) -> list[tuple[int, str]]:
    return sorted((found["id"], found["language"]) for found in rows_of(warehouse))


def files_of(warehouse: DuckDBWarehouse) -> list[str]:
    """The names beside the warehouse file, without DuckDB's own log."""
    return sorted(
        path.name for path in warehouse.path.parent.iterdir() if path.suffix != ".wal"
    )
