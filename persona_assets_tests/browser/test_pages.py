"""The two pages for people, as they work in a browser and on a phone."""

from collections.abc import Iterator
from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from persona_assets.languages import LANGUAGES
from persona_assets.settings import Settings

pytestmark = pytest.mark.browser

PHONE = {"width": 375, "height": 740}
_TOO_WIDE = "document.documentElement.scrollWidth > window.innerWidth"
# Cells in which words of several letters have no room for half a dozen.
_SQUEEZED = """[...document.querySelectorAll("th, td")].filter(
    (cell) => cell.innerText.trim().length > 6 && cell.clientWidth < 50
).map((cell) => cell.innerText)"""
@pytest.fixture
def said(page: Page) -> Iterator[list[str]]:
    """What the page complains of; a test that uses it fails when there is anything."""
    found: list[str] = []
    page.on("console", lambda message: message.type == "error" and found.append(message.text))
    page.on("pageerror", lambda error: found.append(str(error)))
    yield found
    assert found == []


@pytest.fixture
def emails(page: Page, finished_home: Settings, said: list[str]) -> Page:
    page.goto((finished_home.reports / "emails.html").as_uri())
    return page


@pytest.fixture
def segments(page: Page, finished_home: Settings, said: list[str]) -> Page:
    page.goto((finished_home.reports / "segments.html").as_uri())
    return page


def test_an_email_is_found_by_its_words_and_shown_with_its_trace(emails):
    subject = emails.locator("#items .item b").nth(7).inner_text()
    emails.get_by_role("searchbox").fill(subject)
    items = emails.locator("#items .item")
    expect(emails.get_by_role("status")).to_have_text(f"{items.count()} of {_all(emails)} shown")
    assert 1 <= items.count() < _all(emails)
    assert {text.lower() for text in items.locator("b").all_inner_texts()} >= {subject.lower()}
    items.get_by_text(subject, exact=True).first.click()
    expect(emails.locator("main h2")).to_have_text(subject)
    for part in ("Segment ", "Newest orders", "Newest events", "Prompt ", "Drafts ("):
        expect(emails.get_by_role("heading", name=part)).to_be_visible()
    expect(emails.get_by_text("Why it says what it says")).to_be_visible()


def test_a_search_without_a_find_says_so(emails):
    emails.get_by_role("searchbox").fill("no e-mail says this")
    expect(emails.get_by_role("status")).to_have_text(f"0 of {_all(emails)} shown")
    expect(emails.get_by_text("No e-mail of the sample matches.")).to_be_visible()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_is_chosen_and_its_emails_read_in_its_direction(emails, language):
    emails.get_by_label("Language", exact=True).select_option(language)
    shown = emails.locator("#items .item b")
    assert {item.get_attribute("lang") for item in shown.all()} == {language}
    shown.first.click()
    inside = emails.frame_locator("main iframe")
    document = inside.locator("html")
    expect(document).to_have_attribute("lang", language)
    direction = "rtl" if language == "ar" else "ltr"
    expect(document).to_have_attribute("dir", direction)
    for text in (emails.locator("main h2"), inside.locator("p").first):
        assert text.evaluate("text => getComputedStyle(text).direction") == direction


def test_the_customers_are_drawn_in_three_dimensions_under_either_name(segments):
    _wait_for_points(segments)
    named = segments.locator("#cloud .legendtext").all_inner_texts()
    segments.get_by_label("Names").select_option("segment")
    expect(segments.locator("#cloud .legendtext").first).to_have_text("seg_1")
    assert len(segments.locator("#cloud .legendtext").all()) == len(named) >= 2
    _wait_for_points(segments)


def test_the_pages_can_be_read_on_a_phone(emails, finished_home):
    emails.set_viewport_size(PHONE)
    for page in ("emails", "segments"):
        emails.goto((finished_home.reports / f"{page}.html").as_uri())
        assert not emails.evaluate(_TOO_WIDE), page
        assert emails.evaluate(_SQUEEZED) == [], page


def test_on_a_phone_the_email_that_was_picked_comes_into_view(emails):
    emails.set_viewport_size(PHONE)
    emails.locator("#items .item").nth(3).click()
    expect(emails.locator("main h2")).to_be_in_viewport()


def _wait_for_points(segments: Page) -> None:
    """Until something in colour is on the right half of the cloud, away from the legend."""
    cloud = segments.locator("#cloud")
    cloud.scroll_into_view_if_needed()
    for _ in range(60):
        picture = Image.open(BytesIO(cloud.screenshot())).convert("HSV")
        right = picture.crop((picture.width // 2, 0, *picture.size))
        if sum(right.getchannel("S").histogram()[100:]) > 100:
            return
        segments.wait_for_timeout(500)
    raise AssertionError("No customer is drawn")


def _all(emails: Page) -> int:
    return emails.evaluate("traces.length")
