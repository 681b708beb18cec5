"""A BigQuery emulator inside the test process, and warehouses on it."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from unittest import mock
from uuid import uuid4

from duckdb_extensions import import_extension
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from persona_assets import schemas
from persona_assets.warehouse.bigquery import BigQueryWarehouse
from persona_assets.warehouse.jobs import EmulatedBigQuery, Jobs

PROJECT = "test-project"
_START_SECONDS = 90


@contextmanager
def running() -> Iterator[str]:
    """The address of a running emulator. Everything in it is gone afterwards."""
    from bqemulator.config import LogLevel, Settings
    from bqemulator.server import EmulatorServer

    import_extension("spatial")  # from the package index; the emulator would download it
    server = EmulatorServer(
        Settings(
            rest_port=0,
            grpc_port=0,
            default_project_id=PROJECT,
            enable_format_extensions=False,
            log_level=LogLevel.ERROR,
        )
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="emulator", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(_START_SECONDS)
        with _less_work():
            yield server.rest_url
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(_START_SECONDS)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_START_SECONDS)
        loop.close()


@contextmanager
def _less_work() -> Iterator[None]:
    """The emulator runs a SELECT to answer its dry run, and parses a statement twenty times to run
    it: here a dry run reads nothing, as at Google's, and a text is parsed once."""
    from bqemulator.api.routes import jobs

    parse = Dialect.parse

    @cache
    def parsed(kind: type[Dialect], sql: str) -> list[exp.Expression | None]:
        return parse(kind(), sql)

    def copied(self: Dialect, sql: str, **options: object) -> list[exp.Expression | None]:
        if options or self.settings:
            return parse(self, sql, **options)
        return [tree and tree.copy() for tree in parsed(type(self), sql)]

    unread = jobs._DESTRUCTIVE_STATEMENT_TYPES | {"SELECT"}
    with (
        mock.patch.object(Dialect, "parse", copied),
        mock.patch.object(jobs, "_DESTRUCTIVE_STATEMENT_TYPES", unread),
    ):
        yield


def make_warehouse(
    dataset: str | None = None,
    source: str | None = None,
    labels: Callable[[], dict[str, str]] = dict,
    layouts: bool = False,
    **bounds: float,
) -> BigQueryWarehouse:
    """A warehouse on the emulator that BIGQUERY_EMULATOR_HOST names, in datasets of its own."""
    bounds = {"maximum_bytes": 10**9, "usd_per_tib": 6.25} | bounds
    alone = uuid4().hex[:12]
    return BigQueryWarehouse(
        Jobs(EmulatedBigQuery(project=PROJECT, location="US"), labels=labels, **bounds),
        PROJECT,
        dataset or f"persona_{alone}",
        source or f"{PROJECT}.shop_{alone}",
        "US",
        schemas.layouts() if layouts else None,
    )
