"""Takes the pictures of the guide: our Dagster UI and pages, filled from the sample shop, in the
system's Chromium. `make guide`; about five minutes."""

import re
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, expect

from persona_assets import run, sample
from persona_assets.languages import LANGUAGES
from persona_assets.settings import Settings, load_settings
from persona_assets_tests.automation.work import change, one_customer_twice
from persona_assets_tests.browser.ui import DagsterUI, open_browser, serve

PICTURES = Path(__file__).with_name("pictures")
SCREEN = {"width": 1360, "height": 820}
CUSTOMERS = 300


def main() -> None:
    """Take every picture; the home they show is thrown away."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        source = sample.write(Path(name) / "shop", customers=CUSTOMERS, seed=7)
        settings = load_settings(home=Path(name) / "home", source=source)
        run.run(settings, [*LANGUAGES], None)
        with open_browser() as browser:
            page = browser.new_page(
                viewport=SCREEN, locale="en-US", timezone_id="UTC", color_scheme="light"
            )
            take_pages(page, settings.reports)
            with serve(Path(name), home=settings.home, source=source.name) as address:
                take_ui(DagsterUI(page, address), settings)


def take_ui(ui: DagsterUI, settings: Settings) -> None:
    """The pictures of the Dagster UI."""
    ui.page.set_viewport_size(SCREEN)
    for picture in (_graph, _launch, _asset, _backfill, _checks, _lineage, _automation):
        picture(ui)
    _failure(ui, settings)


def _launch(ui: DagsterUI) -> None:
    ui.open("/asset-groups")
    ui.page.get_by_role("button", name="Materialize all").click()
    dialog = ui.page.get_by_role("dialog").filter(has_text="Partition selection")
    dialog.get_by_role("button", name="All", exact=True).click()
    expect(dialog.get_by_text("9 partitions selected")).to_be_visible()
    _keep("launch", dialog)


def _backfill(ui: DagsterUI) -> None:
    ui.open_asset("emails")
    ui.materialize()
    assert ui.backfill_outcome() == "Succeeded"
    expect(ui.page.get_by_text("100% completed")).to_be_visible()
    _keep("backfill", ui.page, 292)


def _graph(ui: DagsterUI) -> None:
    ui.page.set_viewport_size({"width": 1800, "height": 1130})
    ui.open_graph()
    ui.page.get_by_role("img", name="zoom_out").click()  # from under the controls on the right
    shown = ui.page.get_by_role("img", name="panel_show_right").last.bounding_box()
    _keep("graph", ui.page, left=shown["x"] + shown["width"] + 14)
    ui.page.set_viewport_size(SCREEN)


def _asset(ui: DagsterUI) -> None:
    ui.page.set_viewport_size({"width": SCREEN["width"], "height": 1000})
    ui.open_asset("emails", "partitions")
    ui.page.get_by_text("fr", exact=True).first.click()
    ui.page.get_by_text("refused_by_gate").first.wait_for()
    _keep("emails-asset", ui.page, 957)
    ui.page.set_viewport_size({"width": 1000, "height": 1700})
    emails = ui.page.get_by_role("row").filter(has_text="Show Markdown").first
    emails.get_by_text("Show Markdown").click()
    dialog = ui.page.get_by_role("dialog")
    expect(dialog.get_by_text(re.compile("^Customer ")).first).to_be_visible()
    _keep("emails-read", dialog)
    ui.page.set_viewport_size(SCREEN)


def _checks(ui: DagsterUI) -> None:
    ui.open_asset("emails", "checks")
    ui.page.get_by_text("every_email_is_in_its_language").first.click()
    expect(ui.page.get_by_text("Passed", exact=True)).to_be_visible()
    _keep("checks", ui.page, 560)


def _lineage(ui: DagsterUI) -> None:
    _keep("lineage", ui.open_sources("parametric"))


def _automation(ui: DagsterUI) -> None:
    ui.open("/automation")
    ui.page.get_by_role("link", name="source_changed").wait_for()
    _keep("automation", ui.page, 353)


def _failure(ui: DagsterUI, settings: Settings) -> None:
    change(settings, "users", one_customer_twice)
    ui.open_asset("users")
    ui.materialize()
    assert ui.outcome() == "Failure"
    ui.open_asset("users", "checks")
    ui.page.get_by_text("can_be_loaded", exact=True).first.click()
    expect(ui.page.get_by_text("more than once")).to_be_visible()
    _keep("failure", ui.page, 535)


def take_pages(page: Page, reports: Path) -> None:
    """The pictures of the two pages."""
    page.goto((reports / "segments.html").as_uri())
    page.set_viewport_size({"width": 1160, "height": 1298})
    page.wait_for_function("document.querySelector('#cloud canvas')")
    page.wait_for_load_state("networkidle")
    _keep("segments", page)
    page.set_viewport_size({"width": 1360, "height": 1150})
    page.goto((reports / "emails.html").as_uri())
    page.get_by_label("Language", exact=True).select_option("fr")
    page.locator("#items .item").nth(4).click()
    page.frame_locator("main iframe").locator("html[lang=fr]").wait_for()
    _keep("emails", page)
    page.get_by_label("Language", exact=True).select_option("ar")
    page.locator("#items .item").nth(3).click()
    page.locator("main iframe").evaluate("frame => (frame.style.height = '900px')")
    page.frame_locator("main iframe").locator("html[lang=ar]").wait_for()
    _keep("email", page.locator("main iframe"))


def _keep(
    name: str, what: Page | Locator, height: int | None = None, left: float = 0
) -> None:
    """Save a picture of a part of a page, or of a page: so much of it from the top, without what
    is on the left of a place; in 256 colours."""
    clip = {}
    if isinstance(what, Page):
        what.wait_for_timeout(1_000)  # for what is still being drawn
        size = what.viewport_size
        clip = {"x": left, "y": 0, "width": size["width"] - left,
                "height": height or size["height"]}  # fmt: skip
        clip = {"clip": clip}
    png = what.screenshot(animations="disabled", **clip)
    picture = Image.open(BytesIO(png)).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(PICTURES / f"{name}.png", optimize=True)
    print(f"{name}.png", flush=True)


if __name__ == "__main__":
    main()
