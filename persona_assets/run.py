"""The main job from the command line: the graph in order, what the e-mails will cost, one run per
language, a summary."""

import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from filelock import FileLock, Timeout

from persona_assets import schemas
from persona_assets.assets.emails import EmailsConfig, audience_cutoff, estimate_work
from persona_assets.copywriting.money import Estimate
from persona_assets.copywriting.writer import Writer
from persona_assets.definitions import build_defs, build_warehouse
from persona_assets.errors import InputError, PersonaError, WarehouseBusy
from persona_assets.failures import told_error
from persona_assets.languages import LANGUAGES
from persona_assets.progress import show
from persona_assets.settings import Settings, prepare_home
from persona_assets.source import check_source
from persona_assets.warehouse import Warehouse, read_query

_OURS = "persona/run"
_LAST = ("prompts_by_language", "emails", "emails_report")


@dataclass(frozen=True)
class Summary:
    """What a run made. rows by table; emails by language; seconds by asset; checks passed;
    oddities of the source by kind; segments as in segment_profile.sql; Dagster run ids; the id of
    a customer with an e-mail."""

    as_of: str
    rows: dict[str, int]
    segments: list[dict[str, Any]]
    emails: dict[str, int]
    emails_total: int
    left_out: int
    from_templates: int
    drafts_written: int
    drafts_refused: int
    cost_usd: float
    checks_passed: int
    oddities: dict[str, int]
    seconds: dict[str, float]
    seconds_total: float
    warehouse: str
    reports: list[str]
    runs: list[str]
    example: int | None


def run(settings: Settings, languages: Sequence[str], customers: int | None) -> Summary:
    """Materialize the whole graph; e-mails in `languages`, at most `customers` of them.

    Raises InputError for input that is refused (nothing is written then), WarehouseBusy when
    another run does not finish in time, and PersonaError when a step or a blocking check fails.
    """
    with _job(settings) as job:
        job.execute([name for name in job.assets if name not in _LAST])
        show(f"To write: {job.estimate(languages, customers)}")
        audience = {"customers": customers, "languages": [*languages]}
        for language in languages:
            job.execute(["prompts_by_language", "emails"], language, emails=audience)
        job.execute(["emails_report"])
        return _summarize(job, settings)


def estimate(settings: Settings, languages: Sequence[str], customers: int | None) -> Estimate:
    """What the e-mails in `languages`, at most `customers` of them, will take, after everything
    before them was materialized; nothing is spent. Raises as run() does."""
    with _job(settings) as job:
        job.execute([name for name in job.assets if name not in (*_LAST, "segments_report")])
        return job.estimate(languages, customers)


class _Job:
    """The graph of a home, executed part by part on its Dagster instance."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        definitions = build_defs(settings)
        self.assets = {key.to_user_string(): key for key in definitions.resolve_all_asset_keys()}
        self.warehouse: Warehouse = definitions.resources["warehouse"]
        self.writer: Writer = definitions.resources["writer"]
        self.results: list[dg.ExecuteInProcessResult] = []
        self.start = time.perf_counter()
        self._job = definitions.resolve_implicit_global_asset_job_def()
        self._instance = instance
        self._tags = {_OURS: uuid.uuid4().hex}

    def execute(self, names: Sequence[str], partition: str | None = None, **ops: Any) -> None:
        """Materialize these assets; ops: config by asset."""
        self.results.append(
            _execute(
                self._job,
                self._instance,
                [self.assets[name] for name in names],
                partition,
                {name: {"config": config} for name, config in ops.items()},
                self._tags,
            )
        )

    def estimate(self, languages: Sequence[str], customers: int | None) -> Estimate:
        """What the prompts without an accepted draft will take."""
        audience = EmailsConfig(customers=customers, languages=[*languages])
        self.warehouse.append("drafts", schemas.arrow_schema(schemas.drafts), [])
        cutoff = audience_cutoff(self.warehouse, audience)
        return estimate_work(self.warehouse, self.writer, languages, cutoff)


@contextmanager
def _job(settings: Settings) -> Iterator[_Job]:
    prepare_home(settings)
    with _only_run(settings):
        check_source(settings, build_warehouse(settings))
        os.environ["DAGSTER_HOME"] = str(settings.dagster_home.resolve())
        with dg.DagsterInstance.get() as instance:
            _end_killed_runs(instance)
            yield _Job(settings, instance)


def end_killed_runs(settings: Settings) -> None:
    """Report the runs of a `persona run` that was killed as failed, unless one is at work: the
    queue of the Dagster UI would wait for their end."""
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home.resolve())
    try:
        with FileLock(settings.home / "run.lock", timeout=0), dg.DagsterInstance.get() as instance:
            _end_killed_runs(instance)
    except Timeout:
        return


def _end_killed_runs(instance: dg.DagsterInstance) -> None:
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        if _OURS in run.tags:
            instance.report_run_failed(run, "The process of the run was killed.")


def _execute(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    assets: Sequence[dg.AssetKey],
    partition: str | None,
    ops: dict[str, Any],
    tags: dict[str, str],
) -> dg.ExecuteInProcessResult:
    try:
        return job.execute_in_process(
            instance=instance,
            asset_selection=assets,
            partition_key=partition,
            run_config={"loggers": {"progress": {}}, "ops": ops},
            tags=tags,
        )
    except dg.Failure as failure:
        raise told_error(failure) from None
    except dg.DagsterError as error:  # such as a blocking check, whose rows were shown
        said = " ".join(str(error).split())
        raise PersonaError(f"The run stopped, and nothing after it was made: {said}") from error
    except Exception as error:  # whatever a step raised: Dagster has recorded its traceback
        said = " ".join(str(error).split())
        raise PersonaError(
            f"A step failed with {type(error).__name__}: {said} `persona dev` shows the run and "
            "its traceback."
        ) from error


def _summarize(job: _Job, settings: Settings) -> Summary:
    results, warehouse = job.results, job.warehouse
    made = [
        event.step_materialization_data.materialization
        for result in results
        for event in result.get_asset_materialization_events()
    ]
    seen = [
        event.asset_observation_data.asset_observation
        for result in results
        for event in result.get_asset_observation_events()
    ]
    checks = [check for result in results for check in result.get_asset_check_evaluations()]
    by_language = {m.partition: m for m in made if m.partition}
    tables = {m.asset_key.to_user_string(): m.metadata for m in [*seen, *made] if not m.partition}
    emails = {
        language: _value(m, "dagster/partition_row_count") for language, m in by_language.items()
    }
    sample = warehouse.read(read_query("report/email_sample"), {"emails": 1})
    profile = warehouse.read(read_query("segment_profile"), {}).to_pylist()
    return Summary(
        as_of=tables["parametric"]["as_of"].value,
        rows={
            name: metadata["dagster/row_count"].value
            for name, metadata in tables.items()
            if "dagster/row_count" in metadata
        },
        segments=[
            {name: row[name] for name in ("segment", "segment_label", "customers")}
            for row in profile
        ],
        emails=emails,
        emails_total=sum(emails.values()),
        **{
            name: sum(_value(m, name) for m in by_language.values())
            for name in (
                "left_out", "from_templates", "drafts_written", "drafts_refused", "cost_usd",
            )
        },
        checks_passed=sum(check.passed for check in checks),
        oddities=dict(tables["parametric"]["oddity_counts"].value),
        seconds=_seconds(results),
        seconds_total=round(time.perf_counter() - job.start, 1),
        warehouse=warehouse.place,
        reports=[str(settings.reports / f"{page}.html") for page in ("emails", "segments")],
        runs=[result.run_id for result in results],
        example=next(iter(sample["user_id"].to_pylist()), None),
    )


def _value(materialization: dg.AssetMaterialization, name: str) -> int:
    return materialization.metadata[name].value


def _seconds(results: list[dg.ExecuteInProcessResult]) -> dict[str, float]:
    """Seconds by step, the checks of all assets together, the partitions of one asset too."""
    spent: dict[str, float] = {}
    for result in results:
        steps = {
            of: {event.step_key for event in result.all_events if event.event_type is of}
            for of in (
                dg.DagsterEventType.ASSET_CHECK_EVALUATION,
                dg.DagsterEventType.ASSET_MATERIALIZATION,
            )
        }
        checks = set.difference(*steps.values())  # the source is loaded and checked in one
        for event in result.all_events:
            if event.is_step_success:
                name = "checks" if event.step_key in checks else event.step_key
                took = event.step_success_data.duration_ms / 1000
                spent[name] = round(spent.get(name, 0.0) + took, 2)
    return spent


def as_text(summary: Summary) -> str:
    """The summary for a person to read at a terminal."""
    rows, customers = summary.rows, sum(row["customers"] for row in summary.segments)
    lines = [
        "",
        f"{summary.emails_total:,} e-mails on {summary.as_of} in {summary.seconds_total} s",
        "",
        "Source     "
        + ", ".join(f"{rows[name]:,} {name}" for name in
                    ("users", "orders", "order_items", "products", "events")),
        "",
        "Segments",
        *(
            f"  {row['segment']:<10} {row['customers']:>10,}  "
            f"{100 * row['customers'] / customers:>5.1f} %  {row['segment_label']}"
            for row in summary.segments
        ),
        "",
        "E-mails",
        *(
            f"  {LANGUAGES[language]:<12}{count:>9,}"
            for language, count in summary.emails.items()
        ),
        f"  New drafts: {summary.drafts_written:,} (customers with the same prompt share one)",
        *(f"  {said}: {amount:,}" for said, amount in _remarks(summary) if amount),
        *([f"  {summary.cost_usd:,.4f} USD spent"] if summary.cost_usd else []),
        "",
        f"Checks     {summary.checks_passed} passed",
        "",
        "Unusual in the source" if summary.oddities else "Nothing unusual in the source",
        *(f"  {amount:>10,}  {oddity}" for oddity, amount in summary.oddities.items()),
        "",
        "Seconds    " + ", ".join(f"{name} {took}" for name, took in summary.seconds.items()),
        "",
        f"Tables     {summary.warehouse}",
        *(f"Page       {page}" for page in summary.reports),
        f"Next       persona trace {'USER_ID' if summary.example is None else summary.example}",
        "           persona dev (the Dagster UI on the same tables and runs)",
    ]  # fmt: skip
    return "\n".join(lines)


def _remarks(summary: Summary) -> list[tuple[str, int]]:
    return [
        ("Drafts refused by the gates", summary.drafts_refused),
        ("Customers who got the templates, every draft refused", summary.from_templates),
        ("Customers left out, every draft refused", summary.left_out),
    ]


def _sweep(home: Path) -> None:
    """Remove what runs that were killed left behind a day ago or longer."""
    for pattern in (".write-*", ".read-*", ".sample-*"):
        for folder in home.glob(pattern):
            if time.time() - folder.stat().st_mtime > 86_400:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _only_run(settings: Settings) -> Iterator[None]:
    """Hold the home for this run; raises WarehouseBusy, naming who holds it, after a wait."""
    lock = FileLock(settings.home / "run.lock")
    holder = settings.home / "run.holder"

    def who() -> str:
        return holder.read_text(encoding="utf-8") if holder.exists() else "unknown"

    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(
                f"Another run is writing to {settings.home} (process {who()}): waiting up to "
                f"{settings.lock_seconds:g} seconds.",
                file=sys.stderr,
            )
            lock.acquire(timeout=settings.lock_seconds)
    except Timeout:
        raise WarehouseBusy(
            f"Another run is writing to {settings.home} (process {who()}): wait until it has "
            "finished or stop it."
        ) from None
    except OSError as error:
        raise InputError(
            f"The home {settings.home} cannot be written ({error.strerror}): set PERSONA_HOME "
            "to a folder that you may write to."
        ) from None
    try:
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
        said = f"{os.getpid()}, {command}, since {time.strftime('%H:%M:%S')}"
        holder.write_text(said, encoding="utf-8")
        _sweep(settings.home)
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
