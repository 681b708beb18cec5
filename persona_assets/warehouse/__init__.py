"""The first seam: where tables live, behind one small protocol."""

from persona_assets.warehouse.base import Receipt, Warehouse
from persona_assets.warehouse.duckdb import DuckDBWarehouse
from persona_assets.warehouse.googlesql import Query, read_query

__all__ = ["DuckDBWarehouse", "Query", "Receipt", "Warehouse", "read_query"]
