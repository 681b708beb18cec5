"""A home at work: a source that changes, runs, and daemons that look at it one look at a time."""

import logging
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from dagster._core.test_utils import freeze_time
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)
from dagster._daemon.sensor import execute_sensor_iteration

from persona_assets import schemas
from persona_assets.definitions import build_defs
from persona_assets.settings import Settings

LOADED = [*(model.__name__ for model in schemas.SOURCES), "countries", "suppression_list"]


def change(settings: Settings, table: str, by: Callable[[pa.Table], pa.Table]) -> None:
    file = settings.source / f"{table}.parquet"
    aside = file.with_suffix(".new")
    pq.write_table(by(pq.read_table(file)), aside)
    aside.replace(file)


def one_more_product(products: pa.Table) -> pa.Table:
    new = {"id": max(products["id"].to_pylist()) + 1, "name": "A Product Nobody Bought"}
    return pa.concat_tables([products, pa.Table.from_pylist([new], schema=products.schema)])


def one_customer_twice(users: pa.Table) -> pa.Table:
    return pa.concat_tables([users, users.slice(1, 1)])


def one_more_customer(users: pa.Table) -> pa.Table:
    newest = users.slice(users.num_rows - 1).to_pylist()[0]
    new = newest | {"id": newest["id"] + 1, "email": "newcomer@example.org"}
    return pa.concat_tables([users, pa.Table.from_pylist([new], schema=users.schema)])


def rows(settings: Settings, query: str, *parameters) -> list[tuple]:
    with closing(duckdb.connect(settings.warehouse_file)) as connection:
        return connection.execute(query, parameters).fetchall()


def one_more_event(settings: Settings, language: str) -> int:
    """Put a new event of one customer, who is written to in the language, into the source."""
    (customer,) = rows(
        settings,
        "SELECT MIN(user_id) FROM persona.final_prompts "
        "WHERE language = ? AND last_event <> 'cart'",
        language,
    )[0]

    def add(events: pa.Table) -> pa.Table:
        newest = events.sort_by([("created_at", "descending")]).slice(0, 1).to_pylist()[0]
        newest |= {"id": max(events["id"].to_pylist()) + 1, "user_id": customer}
        newest |= {"event_type": "cart"}
        return pa.concat_tables([events, pa.Table.from_pylist([newest], schema=events.schema)])

    change(settings, "events", add)
    return customer


def materialize(
    settings: Settings,
    instance: dg.DagsterInstance,
    names: list[str],
    partition: str | None = None,
    **config,
) -> dg.ExecuteInProcessResult:
    job = build_defs(settings).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(name) for name in names],
        partition_key=partition,
        **config,
    )


class Daemon:
    """A sensor daemon and a queue daemon, one look and one queue at a time, 40 seconds apart."""

    def __init__(self, context: WorkspaceProcessContext, name: str, now: datetime) -> None:
        self.context, self.instance, self.now = context, context.instance, now
        location = context.create_request_context().get_code_location("persona_assets")
        (repository,) = location.get_repositories().values()
        self.sensor = repository.get_sensor(name)
        self.instance.start_sensor(self.sensor)

    def look(self):
        """One tick of the sensor, as the instance keeps it."""
        self.now += timedelta(seconds=40)
        with freeze_time(self.now):
            for problem in execute_sensor_iteration(
                self.context, logging.getLogger("test"), None, None
            ):
                assert problem is None, problem
        origin = self.sensor.get_remote_origin().get_id()
        (tick,) = self.instance.get_ticks(origin, self.sensor.selector_id, limit=1)
        assert tick.error is None, tick.error
        return tick

    def work_off_the_queue(self) -> None:
        for problem in QueuedRunCoordinatorDaemon(interval_seconds=1).run_iteration(self.context):
            assert problem is None, problem

    def loads(self) -> list[dg.DagsterRun]:
        return self.instance.get_runs(dg.RunsFilter(job_name="load_source"))
