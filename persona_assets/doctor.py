"""What is set, what is reachable and what is missing, without changing anything."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import duckdb

from persona_assets.copywriting.asking import find_price
from persona_assets.copywriting.chat import ChatModel
from persona_assets.copywriting.money import Price, load_price
from persona_assets.definitions import build_warehouse
from persona_assets.errors import InputError, PersonaError
from persona_assets.settings import Settings, sender_examples, variable
from persona_assets.source import check_source, inspect_source, source_folder
from persona_assets.suppression import read_suppression_list, suppression_file
from persona_assets.warehouse import DuckDBWarehouse

_SHOWN = 5
_HURRY = {"request_seconds": 10, "patience_seconds": 10}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, whether it is fine, and what was seen."""

    what: str
    ok: bool
    said: str


def examine(settings: Settings) -> list[Finding]:
    """A finding per thing that a run needs."""
    return [
        Finding(
            "versions",
            True,
            f"Python {sys.version.split()[0]}, dagster {version('dagster')}, "
            f"duckdb {version('duckdb')}",
        ),
        Finding("settings", True, _settings(settings)),
        _home(settings),
        *(
            _bigquery(settings)
            if settings.warehouse == "bigquery"
            else (_source(settings), _warehouse(settings))
        ),
        _suppression(settings),
        _writer(settings),
        _sender(settings),
    ]


def _settings(settings: Settings) -> str:
    given = sorted(settings.model_fields_set)
    if not given:
        return "none set: every default is in force"
    shown = (f"{variable(name)}={getattr(settings, name)}" for name in given)
    return ", ".join(shown)


def _home(settings: Settings) -> Finding:
    home = settings.home.resolve()
    nearest = next(folder for folder in (home, *home.parents) if folder.exists())
    fine = nearest.is_dir() and os.access(nearest, os.W_OK)
    state = "" if home.exists() else ", made by the first run"
    return Finding(
        "home", fine, f"{home}{state}" if fine else f"{home} cannot be written: set PERSONA_HOME"
    )


def _source(settings: Settings) -> Finding:
    if settings.source is None:
        return Finding(
            "source",
            True,
            f"the sample shop, {settings.sample_customers:,} customers, seed "
            f"{settings.sample_seed} (PERSONA_SOURCE is not set)",
        )
    try:
        tables = inspect_source(source_folder(settings), settings.consent)
    except PersonaError as error:
        return Finding("source", False, str(error).replace("\n", "\n" + " " * 19))
    return Finding("source", True, f"{settings.source}: {', '.join(t.name for t in tables)}")


def _warehouse(settings: Settings) -> Finding:
    file = settings.warehouse_file
    if not file.exists():
        return Finding("warehouse", True, f"{file} is not there yet: `persona run` makes it")
    try:
        with DuckDBWarehouse(file, wait_seconds=0).connect() as connection:
            tables = connection.execute(
                "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'persona'"
            ).fetchone()[0]
    except (PersonaError, duckdb.Error) as error:
        return Finding("warehouse", False, str(error).splitlines()[0])
    return Finding("warehouse", True, f"{file}: {tables} tables in persona")


def _suppression(settings: Settings) -> Finding:
    try:
        file = suppression_file(settings)
        rows = len(read_suppression_list(file)) if file else 0
    except InputError as error:
        return Finding("suppression", False, str(error))
    if file:
        return Finding("suppression", True, f"{file}: {rows:,} rows")
    looked = (
        "a source in BigQuery is not looked into for one"
        if settings.warehouse == "bigquery"
        else "there is no suppression_list in the source folder"
    )
    said = f"no list: PERSONA_SUPPRESSION_LIST is not set, and {looked}"
    return Finding("suppression", True, said)


def _writer(settings: Settings) -> Finding:
    if settings.writer == "offline" and settings.labels != "hand_off":
        return Finding("writer", True, "offline: needs no key and no network")
    if settings.writer == "bigquery":
        return _bigquery_writer(settings)
    try:
        model = ChatModel.from_settings(settings)
        offered = model.offered()
        price = load_price(model.model, settings.prices_file)
    except PersonaError as error:
        return Finding("writer", False, str(error))
    if offered and not {model.model, f"models/{model.model}"} & {*offered}:
        some = ", ".join(offered[:_SHOWN])
        return Finding(
            "writer", False, f"{model.url} offers no {model.model}: set PERSONA_MODEL, to {some} …"
        )
    return Finding("writer", True, f"{model.model} at {model.url}, {_cost(price)}")


def _bigquery_writer(settings: Settings) -> Finding:
    try:
        price = find_price(settings)
    except PersonaError as error:
        return Finding("writer", False, str(error))
    name = f"{settings.bigquery_project}.{settings.bigquery_dataset}.{settings.bigquery_model}"
    said = f"{settings.model} as {name} by {settings.bigquery_function}, {_cost(price)}"
    return Finding("writer", True, said)


def _cost(price: Price | None) -> str:
    return f"prices of {price.as_of}" if price else "price unknown (PERSONA_PRICES_FILE)"


def _bigquery(settings: Settings) -> list[Finding]:
    """Whether a job runs, our dataset is where it should be, the source has what is needed, and so
    has the writer, if it is inside BigQuery. Once Google is not reached, no more is looked at."""
    from persona_assets.warehouse.jobs import answered

    findings: list[Finding] = []
    lost = False
    for what, look in _looks(settings):
        try:
            said = "not looked at" if lost else look()
            findings.append(Finding(what, not lost, said))
        except PersonaError as error:
            lost = not answered(error)
            findings.append(Finding(what, False, str(error).replace("\n", "\n" + " " * 19)))
    return findings


def _looks(settings: Settings) -> Iterator[tuple[str, Callable[[], str]]]:
    """What there is to look at in BigQuery, and how to; it raises PersonaError or says what was
    seen."""
    from persona_assets.bigquery_setup import Step, from_settings

    warehouse = build_warehouse(settings, **_HURRY)
    emulator = os.environ.get("BIGQUERY_EMULATOR_HOST")
    where = f"the emulator at {emulator}" if emulator else "Google's service"

    def run_job() -> str:
        warehouse.try_job()
        return f"{where} runs jobs of {settings.bigquery_project}"

    def dataset() -> str:
        return warehouse.inspect_dataset() or f"{warehouse.place} in {warehouse.location}"

    def source() -> str:
        check_source(settings, warehouse)
        return f"{settings.bigquery_source} has the five tables"

    def needed(step: Step) -> str:
        found = step.find()
        if found is None:
            raise InputError(f"{step.what} is missing: run `persona bigquery setup`")
        return found

    yield from (("bigquery", run_job), ("warehouse", dataset), ("source", source))
    if settings.writer == "bigquery" and not emulator:
        for step in from_settings(settings, **_HURRY).steps():
            if step.name not in ("dataset", "source"):
                yield step.name, partial(needed, step)


def _sender(settings: Settings) -> Finding:
    unset = sender_examples(settings)
    if unset:
        said = f"{', '.join(unset)} still at the example's value: set before sending anything"
        return Finding("sender", True, said)
    return Finding("sender", True, f"{settings.shop_name}, {settings.postal_address}")
