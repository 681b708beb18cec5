"""The Dagster UI of a home, served, and used in a headless browser as a person would."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREEN = {"width": 1500, "height": 900}
# Milliseconds: what a page may take, and what a run or a backfill may.
PATIENCE, LONG = 90_000, 600_000


def find_browser() -> str | None:
    """The system's Chromium or Chrome, if there is one."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """The system's browser, headless."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def serve(folder: Path, **settings: Any) -> Iterator[str]:
    """`persona dev` in the folder with these settings, on a free port; gives its address.

    What it says is in dev.log in the folder.
    """
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PERSONA_", "DAGSTER_", "OPENAI_"))
    } | {f"PERSONA_{name.upper()}": str(value) for name, value in settings.items()}
    persona = Path(sys.executable).with_name("persona")
    log = folder / "dev.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [persona, "dev", "--port", str(port)],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + LONG / 1000
        while not _answers(address):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"persona dev did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.2)
        yield address
    finally:
        _stop(server)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _stop(server: subprocess.Popen) -> None:
    """End the server with its daemon, code server and runs, which share its session."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(server.pid, how)
        deadline = time.monotonic() + 20
        while _lives(server) and time.monotonic() < deadline:
            time.sleep(0.1)


def _lives(server: subprocess.Popen) -> bool:
    server.poll()
    try:
        os.killpg(server.pid, 0)
    except ProcessLookupError:
        return False
    return True


class DagsterUI:
    """A browser's page on the Dagster UI."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self._address = address
        page.set_default_timeout(PATIENCE)

    def open(self, path: str) -> None:
        self.page.goto(f"{self._address}{path}")

    def open_asset(self, asset: str, tab: str = "overview") -> None:
        self.open(f"/assets/{asset}?view={tab}")

    def open_graph(self) -> None:
        """Open the graph of all assets, its groups unfolded."""
        self.open("/asset-groups")
        folded = self.page.get_by_role("img", name="unfold_more")
        folded.first.wait_for()
        # Between the drawing and the lower edge, where there is nothing.
        size = self.page.viewport_size
        self.page.mouse.click(size["width"] // 2, size["height"] - 60, button="right")
        self.page.get_by_role("menuitem", name="Expand all groups").click()
        expect(folded).to_have_count(0)

    def open_sources(self, asset: str) -> Locator:
        """Open the asset's table of what each column is computed from, which is given."""
        self.open_asset(asset)
        shown = self.page.get_by_role("row").filter(has_text="computed_from")
        shown.scroll_into_view_if_needed()
        longer = shown.get_by_text("Show Markdown")  # Dagster shows a short table in its place
        if not longer.is_visible():
            return shown
        longer.click()
        return self.page.get_by_role("dialog")

    def materialize(self, languages: Iterable[str] | None = None) -> None:
        """Press the page's button and launch; languages: which, where the dialog asks; no one in
        particular: all of them. Ends on the page of the run or of the backfill."""
        # On the tab Lineage the first is for the asset alone, and the last for all that is drawn.
        self.page.get_by_role("button", name=re.compile("Materialize( all)?…?$")).last.click()
        dialog = self.page.get_by_role("dialog").filter(has_text="Partition selection")
        launched = self.page.get_by_role("link", name="View", exact=True)
        dialog.or_(launched).first.wait_for()
        if dialog.is_visible():
            if languages is None:
                dialog.get_by_role("button", name="All", exact=True).click()
            else:
                dialog.get_by_text("Select a partition").click()
                for language in languages:
                    self.page.get_by_role("menuitem", name=language).click()
                self.page.keyboard.press("Escape")
            dialog.get_by_role("button", name=re.compile("^Launch")).click()
        launched.click()

    def switch_on(self, automation: str) -> None:
        """Switch a sensor or a schedule on; ends on its page."""
        self.open("/automation")
        self.page.get_by_role("link", name=automation).click()
        running = self.page.get_by_role("row").filter(has_text="Running")
        running.locator("label").click()  # which draws the switch; the checkbox is not to be seen
        expect(running.get_by_role("checkbox")).to_be_checked()

    def outcome(self) -> str:
        """How the run ended whose page is open: Success, Failure or Canceled."""
        ended = self.page.get_by_text(re.compile("^(Success|Failure|Canceled)$")).first
        ended.wait_for(timeout=LONG)
        return ended.inner_text()

    def backfill_outcome(self) -> str:
        """How the backfill ended whose page is open: Succeeded, Failed or Canceled."""
        status = self.page.get_by_text("Status", exact=True).locator("xpath=..")
        ended = status.get_by_text(re.compile("^(Succeeded|Failed|Canceled)$"))
        ended.wait_for(timeout=LONG)
        return ended.inner_text()

    def partitions(self, asset: str, state: str, count: int) -> None:
        """Expect so many partitions of the asset in a state: Materialized, Failed, Missing."""
        self.open_asset(asset, "partitions")
        expect(self.page.get_by_text(f"{state} ({count})")).to_be_visible(timeout=LONG)
