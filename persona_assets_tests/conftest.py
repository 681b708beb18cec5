"""Small shops, warehouses and materialized homes for the tests."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings as hypothesis_settings

from persona_assets import run, sample, schemas
from persona_assets.languages import LANGUAGES, countries
from persona_assets.settings import Settings, load_settings
from persona_assets.source import inspect_source
from persona_assets.warehouse import DuckDBWarehouse

CUSTOMERS = 400
SUPPRESSED = 7

# The same examples every time, however long one takes, and nothing kept from run to run.
hypothesis_settings.register_profile("same", deadline=None, derandomize=True, database=None)
hypothesis_settings.load_profile("same")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads the developer's settings, and each has a folder of its own to stand in."""
    for name in [*os.environ]:
        if name.startswith(("PERSONA_", "DAGSTER_", "OPENAI_", "BIGQUERY_", "GOOGLE_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the five tables of a shop of CUSTOMERS customers; read only."""
    return sample.write(tmp_path_factory.mktemp("source") / "shop", customers=CUSTOMERS, seed=1)


@pytest.fixture(scope="session")
def finished_home(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of a home that `persona run` has filled from the shop; read only."""
    folder = tmp_path_factory.mktemp("home")
    suppressed = folder / "suppressed.csv"
    suppressed.write_text(f"user_id,reason\n{SUPPRESSED},unsubscribed\n", encoding="utf-8")
    settings = load_settings(home=folder / "home", source=shop, suppression_list=suppressed)
    run.run(settings, [*LANGUAGES], None)
    os.environ.pop("DAGSTER_HOME", None)
    return settings


@pytest.fixture
def home(finished_home: Settings, tmp_path: Path) -> Settings:
    """A copy of the finished home, to change at will."""
    shutil.copytree(finished_home.home, tmp_path / "home")
    return finished_home.model_copy(update={"home": tmp_path / "home"})


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """The address of an emulator of BigQuery that runs as long as the tests do."""
    from persona_assets_tests.emulator import running

    with running() as address:
        yield address


@pytest.fixture
def emulated(emulator: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything for BigQuery goes to the emulator; its address."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", emulator)
    return emulator


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    """An empty warehouse."""
    return DuckDBWarehouse(tmp_path / "warehouse.duckdb", wait_seconds=1)


@pytest.fixture
def make_source(tmp_path: Path) -> Callable[..., Path]:
    """Write a shop as Parquet: rows by table name as keywords, beside what every shop needs."""

    def make(folder: str = "source", **tables: Sequence[Mapping[str, Any]]) -> Path:
        path = tmp_path / folder
        path.mkdir()
        for model in schemas.SOURCES:
            name = model.__name__
            rows = [*tables.get(name, MINIMAL[name])]
            table = pa.Table.from_pylist(rows, schema=schemas.arrow_schema(model))
            pq.write_table(table, path / f"{name}.parquet")
        return path

    return make


@pytest.fixture
def load_source(
    warehouse: DuckDBWarehouse, make_source: Callable[..., Path]
) -> Callable[..., DuckDBWarehouse]:
    """Write a shop as `make_source` does and load it, and the countries, into the warehouse."""

    def load(**tables: Sequence[Mapping[str, Any]]) -> DuckDBWarehouse:
        source = inspect_source(make_source(**tables))
        warehouse.load({table.name: table.select for table in source})
        spellings = countries()
        warehouse.replace("countries", spellings.schema, spellings.to_batches())
        return warehouse

    return load


def moment(text: str) -> datetime:
    """A moment in UTC from ISO 8601."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# One customer with one order of one product, after one event.
MINIMAL: dict[str, list[dict[str, Any]]] = {
    "users": [
        {
            "id": 1,
            "first_name": "Ana",
            "email": "ana@example.org",
            "country": "Spain",
            "created_at": moment("2024-01-01T00:00"),
        }
    ],
    "orders": [
        {
            "order_id": 1,
            "user_id": 1,
            "status": "Complete",
            "created_at": moment("2024-06-01T12:00"),
        }
    ],
    "order_items": [{"id": 1, "order_id": 1, "product_id": 1, "sale_price": 20.0}],
    "products": [{"id": 1, "name": "Linen Shirt"}],
    "events": [
        {
            "id": 1,
            "user_id": 1,
            "sequence_number": 1,
            "created_at": moment("2024-06-01T11:00"),
            "event_type": "cart",
        }
    ],
}
