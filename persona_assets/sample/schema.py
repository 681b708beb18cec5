"""Column names and types of the five tables, as in the public thelook_ecommerce data set."""

import numpy as np
import pyarrow as pa

_INT, _TEXT, _REAL = pa.int64(), pa.string(), pa.float64()
_TIME = pa.timestamp("us", tz="UTC")

SCHEMAS: dict[str, pa.Schema] = {
    "users": pa.schema([
        ("id", _INT), ("first_name", _TEXT), ("last_name", _TEXT), ("email", _TEXT),
        ("age", _INT), ("gender", _TEXT), ("country", _TEXT), ("traffic_source", _TEXT),
        ("created_at", _TIME),
    ]),
    "orders": pa.schema([
        ("order_id", _INT), ("user_id", _INT), ("status", _TEXT), ("gender", _TEXT),
        ("created_at", _TIME), ("returned_at", _TIME), ("shipped_at", _TIME),
        ("delivered_at", _TIME), ("num_of_item", _INT),
    ]),
    "order_items": pa.schema([
        ("id", _INT), ("order_id", _INT), ("user_id", _INT), ("product_id", _INT),
        ("inventory_item_id", _INT), ("status", _TEXT), ("created_at", _TIME),
        ("shipped_at", _TIME), ("delivered_at", _TIME), ("returned_at", _TIME),
        ("sale_price", _REAL),
    ]),
    "products": pa.schema([
        ("id", _INT), ("cost", _REAL), ("category", _TEXT), ("name", _TEXT), ("brand", _TEXT),
        ("retail_price", _REAL), ("department", _TEXT), ("sku", _TEXT),
        ("distribution_center_id", _INT),
    ]),
    "events": pa.schema([
        ("id", _INT), ("user_id", _INT), ("session_id", _TEXT), ("sequence_number", _INT),
        ("created_at", _TIME), ("event_type", _TEXT), ("uri", _TEXT),
    ]),
}
"""Schema by table name; timestamps are microseconds in UTC, prices are in the shop's currency."""


def table(name: str, columns: dict[str, np.ndarray | pa.Array]) -> pa.Table:
    """The columns as a table of that name's schema; every column of the schema must be given."""
    schema = SCHEMAS[name]
    arrays = [
        values if isinstance(values, pa.Array) else pa.array(values, type=field.type)
        for field, values in ((field, columns[field.name]) for field in schema)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
