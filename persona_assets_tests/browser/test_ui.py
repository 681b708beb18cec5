"""The Dagster UI on a fresh home, used as people use it, with nothing but a browser."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Page, expect

from persona_assets import sample
from persona_assets.languages import LANGUAGES
from persona_assets.settings import Settings, load_settings

from ..automation.work import change, one_customer_twice, one_more_customer
from ..test_definitions import SNAPSHOT
from .ui import LONG, DagsterUI, serve

pytestmark = pytest.mark.browser

CUSTOMERS = 300
ASSETS = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
CHECKS = sum(len(asset["checks"]) for asset in ASSETS.values())
# The five tables of the source, and whether they can be loaded, are one step.
STEPS = len(ASSETS) - 4 + CHECKS - 5


@dataclass(frozen=True)
class Served:
    """A home in the UI: its address, and the settings it is served with."""

    address: str
    settings: Settings


@pytest.fixture(scope="module")
def served(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The UI on a home that nothing was made in."""
    folder = tmp_path_factory.mktemp("served")
    source = sample.write(folder / "shop", customers=CUSTOMERS, seed=1)
    with serve(folder, home=folder / "home", source=source) as address:
        yield Served(address, load_settings(home=folder / "home", source=source))


@pytest.fixture(scope="module")
def outcome(first_page: Page, served: Served) -> str:
    """How "Materialize all" ended, with French picked where the dialog asks for languages."""
    ui = DagsterUI(first_page, served.address)
    ui.open("/asset-groups")
    ui.materialize(["fr"])
    return ui.outcome()


@pytest.fixture(scope="module")
def backfill(outcome: str, first_page: Page, served: Served) -> str:
    """How a backfill of the e-mails in every language ended, after "Materialize all"."""
    ui = DagsterUI(first_page, served.address)
    ui.open_asset("emails")
    ui.materialize()
    return ui.backfill_outcome()


@pytest.fixture
def ui(page: Page, served: Served) -> DagsterUI:
    return DagsterUI(page, served.address)


@pytest.fixture
def filled(outcome: str, ui: DagsterUI) -> DagsterUI:
    """The UI on a home in which everything was materialized, the e-mails in French."""
    assert outcome == "Success"
    return ui


def test_the_graph_shows_every_asset_in_its_group(ui):
    ui.open_graph()
    for asset, spec in ASSETS.items():
        for name in (asset, spec["group"]):
            # Dagster takes letters out of the middle of a name that is too long for its box.
            shown = re.compile(rf"^({name}|{name[:4]}\w*…\w*{name[-4:]})$")
            expect(ui.page.get_by_text(shown).last).to_be_visible()
    ui.page.get_by_role("button", name="Materialize all").click()
    expect(ui.page.get_by_role("dialog")).to_contain_text(f"materialize {len(ASSETS)} assets")


def test_materialize_all_ends_green(filled):
    filled.open("/runs")
    filled.page.get_by_role("link", name="View", exact=True).first.click()
    assert filled.outcome() == "Success"
    expect(filled.page.get_by_text(f"Succeeded ({STEPS})")).to_be_visible()
    expect(filled.page.get_by_text("Errored (0)")).to_be_visible()
    filled.partitions("emails", "Materialized", 1)


def test_a_column_is_followed_by_clicks_from_a_subject_to_the_day_of_an_order(filled):
    path = ["subject", "final_prompts.prompt", "parametric.last_order_date", "orders.created_at"]
    asset = "emails"
    for step, following in zip(path, path[1:], strict=False):
        sources = filled.open_sources(asset)
        row = sources.get_by_role("row").filter(has_text=step.split(".")[-1])
        row.get_by_role("link", name=following, exact=True).first.click()
        asset = following.split(".")[0]
        filled.page.wait_for_url(f"**/assets/{asset}*")
    expect(filled.page.get_by_text("When it was ordered.")).to_be_visible()


def test_a_backfill_of_the_languages_ends_with_nine_partitions(filled, backfill):
    assert backfill == "Succeeded"
    filled.partitions("emails", "Materialized", len(LANGUAGES))


def test_a_failing_check_is_red_says_why_and_stops_what_is_downstream(filled, served):
    whole = pq.read_table(served.settings.source / "users.parquet")
    change(served.settings, "users", one_customer_twice)
    filled.open_asset("users", "lineage")
    filled.page.get_by_role("button", name="Downstream").click()
    filled.page.get_by_role("button", name="All", exact=True).click()
    filled.materialize(["fr"])
    assert filled.outcome() == "Failure"
    # The run was to make all assets but the other four tables of the source and the countries.
    for said in (f"{len(ASSETS) - 5} assets", "Errored (1)", "Succeeded (0)"):
        expect(filled.page.get_by_text(said).last).to_be_visible()
    filled.open_asset("users", "checks")
    filled.page.get_by_text("can_be_loaded", exact=True).first.click()
    expect(filled.page.get_by_text("column id: 1 value(s) more than once")).to_be_visible()
    expect(filled.page.get_by_text("Failed", exact=True).last).to_be_visible()
    change(served.settings, "users", lambda _: whole)


def test_a_source_that_changes_is_loaded_and_followed_once_the_sensors_are_on(
    filled, backfill, served
):
    assert backfill == "Succeeded"
    filled.switch_on("source_changed")
    filled.switch_on("follow_changes")
    change(served.settings, "users", one_more_customer)
    for asset in ("users", "parametric"):
        filled.open_asset(asset)
        expect(filled.page.get_by_text(str(CUSTOMERS + 1), exact=True)).to_be_visible(timeout=LONG)
