"""A headless browser, and what it showed when a test failed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from .ui import SCREEN, find_browser, open_browser

_PAGE = pytest.StashKey[Page]()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's browser."""
    if find_browser() is None:
        pytest.skip("No Chromium and no Chrome is installed: apt-get install chromium")
    with open_browser() as browser:
        yield browser


def _new_page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    with browser.new_context(viewport=SCREEN, locale="en-US", timezone_id="UTC") as context:
        request.node.stash[_PAGE] = context.new_page()
        yield request.node.stash[_PAGE]
        del request.node.stash[_PAGE]


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of a browser that remembers nothing. When the test fails, its folder gets
    failure-….png."""
    yield from _new_page(browser, request)


@pytest.fixture(scope="module")
def first_page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The same for what is done once for all tests of a module."""
    yield from _new_page(browser, request)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = yield
    if report.failed and call.when != "teardown":
        folder: Path = item.funcargs["tmp_path"]
        for number, node in enumerate(item.listchain()):
            if _PAGE in node.stash:
                file = folder / f"failure-{number}.png"
                node.stash[_PAGE].screenshot(path=file)
                report.sections.append(("The browser's page", str(file)))
    return report
