"""A whole sample shop, in memory or as a folder of Parquet files."""

import datetime
import os
import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from . import customers as customers_
from . import events, orders, products
from .season import Calendar

_UNTIL = datetime.date(2025, 1, 31)


def generate(customers: int = 10_000, seed: int = 7,
             until: datetime.date = _UNTIL) -> dict[str, pa.Table]:
    """The five tables of a made-up shop: users, orders, order_items, products, events.

    Columns and types are in `schema.SCHEMAS`. The history is the 36 months that end with the
    day `until` (UTC); the same arguments always give the same tables. Raises ValueError for
    fewer than one customer, a negative seed, or an `until` that is no date
    (a datetime is none).
    """
    if customers < 1:
        raise ValueError(f"A shop needs at least 1 customer, not {customers}.")
    if seed < 0:
        raise ValueError(f"The seed must be 0 or more, not {seed}.")
    if isinstance(until, datetime.datetime) or not isinstance(until, datetime.date):
        raise ValueError(f"The last day must be a date, not {until!r}.")
    # Each table has its own stream, so that a change to one leaves the draws of the others.
    for_products, for_users, for_orders, for_events = (
        np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(4)
    )
    calendar = Calendar(until)
    on_sale = products.make(for_products, customers)
    people = customers_.make(for_users, customers, calendar)
    bought = orders.make(for_orders, people, on_sale, calendar)
    return {
        "users": people.table,
        "orders": bought.orders,
        "order_items": bought.items,
        "products": on_sale.table,
        "events": events.make(for_events, people, bought, on_sale, calendar),
    }


def _write_table(name: str, table: pa.Table, folder: Path) -> None:
    # Session ids hardly repeat: a dictionary of them would only cost time.
    repeating = [c for c in table.column_names if c not in ("id", "session_id", "email", "sku")]
    pq.write_table(table, folder / f"{name}.parquet", compression="snappy",
                   use_dictionary=repeating)


def write(folder: Path, customers: int = 10_000, seed: int = 7,
          until: datetime.date = _UNTIL) -> Path:
    """Write the shop of `generate` as one `<table>.parquet` for each table; returns `folder`.

    The folder appears all at once, complete, or not at all. Raises FileExistsError if it is
    there already, and ValueError like `generate`.
    """
    folder = Path(folder)
    if folder.exists() or folder.is_symlink():
        raise FileExistsError(f"{folder} exists already.")
    tables = generate(customers, seed, until)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    unfinished.mkdir()
    try:
        with ThreadPoolExecutor(2) as pool:
            # The largest table first, so that the others are written beside it.
            for done in [pool.submit(_write_table, name, table, unfinished)
                         for name, table in sorted(tables.items(), key=lambda t: -len(t[1]))]:
                done.result()
        if folder.exists():
            raise FileExistsError(f"{folder} was made by another program meanwhile.")
        os.rename(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder
