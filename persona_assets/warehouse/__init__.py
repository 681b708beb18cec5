"""The first seam: where tables live, behind one small protocol.

BigQuery's half is imported by who needs it, because its libraries are slow to load.
"""

from persona_assets.warehouse.base import Layout, Receipt, Warehouse
from persona_assets.warehouse.duckdb import DuckDBWarehouse
from persona_assets.warehouse.googlesql import Query, read_query

__all__ = [
    "DuckDBWarehouse",
    "Layout",
    "Query",
    "Receipt",
    "Warehouse",
    "read_query",
]
