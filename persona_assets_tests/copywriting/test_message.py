"""Messages: greeting, structure and escaping of text and HTML."""

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.copywriting import phrasebook
from persona_assets.copywriting.brief import LIFECYCLES
from persona_assets.copywriting.message import _SLOTS, as_html, assemble, display_name
from persona_assets.copywriting.offline import compose

from .samples import LANGUAGES, LINK, SENDER, brief

VOID = {"meta", "br", "img", "hr", "input", "link"}


class Outline(HTMLParser):
    """Collects elements, attributes and text; complains about tags that do not balance."""

    def __init__(self, html: str):
        super().__init__()
        self.open, self.elements, self.text = [], [], []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


class Message(NamedTuple):
    """Both forms of an e-mail."""

    text: str
    html: str


def message(language="en", lifecycle="active", first_name="Camille", **changes):
    subject, preheader, body = compose(brief(language, lifecycle))
    parts = {"subject": subject, "preheader": preheader, "body": body}
    parts |= {"sender": SENDER, "unsubscribe_link": LINK, "language": language} | changes
    preheader, body = parts.pop("preheader"), parts.pop("body")
    text = assemble(lifecycle=lifecycle, first_name=first_name, body=body, **parts)
    return Message(text, as_html(text, preheader=preheader, **parts))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("lifecycle", LIFECYCLES)
def test_html_is_well_formed_and_complete(language, lifecycle):
    subject, preheader, body = compose(brief(language, lifecycle))
    html = message(language, lifecycle).html
    outline = Outline(html)
    (root,) = outline.all("html")
    assert (root["lang"], root["dir"]) == (language, "rtl" if language == "ar" else "ltr")
    links = [link["href"] for link in outline.all("a")]
    assert links == [SENDER.shop_url, LINK]
    assert all(table["role"] == "presentation" for table in outline.all("table"))
    text = "".join(outline.text)
    for part in (subject, preheader, SENDER.postal_address, *body.split("\n\n")):
        assert part in text
    assert not outline.all("img")
    assert not outline.all("link") and not outline.all("script") and "url(" not in html
    assert len(html.encode()) < 8_000  # Gmail cuts off at 102 kB


def test_the_table_is_600_wide_in_outlook_too_which_knows_no_max_width():
    html = message().html
    assert "max-width:600px" in html
    (opened,) = re.findall(r"<!--\[if mso\]>(<table .*?)<!\[endif\]-->", html)
    assert 'width="600"' in opened and opened.endswith("<tr><td>")
    assert "<!--[if mso]></td></tr></table><![endif]-->" in html
    assert html.count("<!--[if mso]>") == html.count("<![endif]-->") == 3


def test_every_colour_that_is_set_changes_in_the_dark():
    html = message().html
    dark = html.split("prefers-color-scheme:dark")[1].split("</style>")[0]
    assert '<meta name="color-scheme" content="light dark">' in html
    styled = [
        (tag, attributes)
        for tag, attributes in Outline(html).elements
        if re.search(r"(?<![-\w])(color|background):", attributes.get("style", ""))
    ]
    assert styled
    for tag, attributes in styled:
        if "display:none" in attributes["style"]:
            continue
        classes = (attributes.get("class") or "m").split()  # the link is in a cell of class m
        assert any(re.search(rf"\.{name}( {tag})?[,{{]", dark) for name in classes)


def test_nothing_of_the_body_is_pulled_into_the_line_after_the_subject():
    html = message(preheader="Only this.").html
    hidden = re.search(r'<div style="display:none[^>]*>(.*?)</div>', html)[1]
    shown = hidden.removeprefix("Only this.")
    assert len(shown) >= 400 and set(shown) == {"\u034f", "\u200c", "\u00a0"}
    assert html.index("Only this.") < html.index("Hello")


def test_a_logo_says_the_name_of_the_shop_to_who_does_not_see_it():
    sender = replace(SENDER, logo_url="https://shop.example/logo.png?a=1&b=2")
    html = message(sender=sender).html
    (logo,) = Outline(html).all("img")
    assert (logo["src"], logo["alt"]) == (sender.logo_url, SENDER.shop)
    assert "<bdi>Atelier" not in html


def test_every_customer_has_a_link_of_their_own():
    sent = [message(unsubscribe_link=f"https://shop.example/?token={i}&x") for i in range(3)]
    for i, one in enumerate(sent):
        assert one.text.endswith(f"\nhttps://shop.example/?token={i}&x\n")
        assert f'href="https://shop.example/?token={i}&amp;x"' in one.html
        assert one.html.count("token=") == 1


def test_no_slot_of_the_frame_stays_open_and_a_draft_cannot_open_one():
    slots = "".join(f"\ue000{name}\ue001" for name in _SLOTS)
    html = message(subject=slots, preheader=slots, body=slots, first_name=None).html
    assert html.count(slots) == 3 and html.count("\ue000") == 3 * len(_SLOTS)
    assert "\ue000" not in message().html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("lifecycle", LIFECYCLES)
def test_text_holds_greeting_body_call_to_action_and_footer(language, lifecycle):
    body = compose(brief(language, lifecycle))[2]
    text = message(language, lifecycle).text
    book = phrasebook.load(language)
    assert "Camille" in text.split("\n")[0]
    assert body in text
    assert any(f"{label}\n{SENDER.shop_url}" in text for label in book.cta[lifecycle])
    assert f"{book.envelope['unsubscribe']}\n{LINK}" in text
    assert SENDER.postal_address in text and SENDER.shop in text
    assert "{" not in text


def test_both_call_to_action_labels_are_used_and_chosen_by_the_draft():
    texts = [message(body=f"Body {i}").text for i in range(20)]
    labels = phrasebook.load("en").cta["active"]
    assert all(any(label in text for text in texts) for label in labels)
    assert message(body="Body 1") == message(body="Body 1")


@pytest.mark.parametrize(
    "name",
    ["Camille", "Anne-Marie", "D’Arcy", "O'Neil", "J. R.", "María José", "Øyvind", "محمد", "葵",
     "지우", "Владимир", "अनन्या", "Jean‑Luc"],
)  # fmt: skip
def test_names_of_every_script_are_greeted(name):
    assert display_name(name) == name
    assert name in message(first_name=name).text.split("\n")[0]


@pytest.mark.parametrize(
    "name",
    [None, "", "  \n ", "{{ 7*7 }}", "{first_name}", "<script>", "x" * 41, "a" * 500, "[Your Name]",
     "a\x00b", "a\u202eb", "R2D2", "evil.com", "www.evil", "http://x", "me@x", "a_b", "$$", "-",
     "100% off", "Ann & Bob", "Ann;", "a\u200bb", "😀"],
)  # fmt: skip
def test_what_is_no_name_is_left_out_of_the_greeting(name):
    assert display_name(name) is None
    sent = message(first_name=name)
    assert sent.text.startswith("Hello,\n")
    assert ">Hello,<" in sent.html


def test_whitespace_in_names_is_collapsed():
    assert display_name("  Anne \n Marie ") == "Anne Marie"
    assert display_name("x" * 40) == "x" * 40


def test_arabic_is_right_to_left_and_isolates_what_is_not():
    sent = message("ar")
    tables = Outline(sent.html).all("table")
    assert tables[0]["dir"] == "rtl"
    assert "text-align:right" in sent.html and "text-align:left" not in sent.html
    for text in (sent.html, sent.text):
        assert "\u2068Indigo Jacket\u2069" in text
        assert "\u2068Camille\u2069" in text
    assert "\u2068" not in message("ar", first_name="نور").text.split("\n")[0]


def test_bullets_become_a_list_and_line_breaks_stay():
    body = "Look:\n• one <b>\n• two\nafter\nit\n\n• three\n\nEnd"
    html = message(body=body).html
    outline = Outline(html)
    assert len(outline.all("ul")) == 2 and len(outline.all("li")) == 3
    assert ">one &lt;b&gt;</li>" in html and ">after<br>it</p>" in html
    assert "•" not in html


@pytest.mark.parametrize(
    "attack", ["<script>alert(1)</script>", "{{ 7*7 }}", '"><a href="x">', "{% if x %}", "&lt;"]
)
def test_whatever_a_draft_holds_is_escaped_in_html_and_kept_in_text(attack):
    sent = message(subject=attack, preheader=attack, body=f"{attack}\n\n• {attack}")
    outline = Outline(sent.html)
    assert not outline.all("script") and len(outline.all("a")) == 2
    assert sent.html.count("49") == 0
    assert unescape(sent.html).count(attack) == 4
    assert attack in sent.text


def test_the_sender_is_escaped():
    html = message().html
    assert "Atelier &amp; Co" in html and "Atelier & Co" not in html
    assert "?a=1&amp;b=2" in html
    html = message(sender=replace(SENDER, logo_url='x" onerror="y', shop='"><script>')).html
    (logo,) = Outline(html).all("img")
    assert (logo["src"], logo["alt"]) == ('x" onerror="y', '"><script>')
    assert "onerror" not in logo


def test_an_unknown_language_or_lifecycle_is_refused():
    for wrong in ({"language": "xx"}, {"lifecycle": "vip"}):
        arguments = {"language": "en", "lifecycle": "new"} | wrong
        with pytest.raises(ValueError, match="xx|vip"):
            assemble(
                **arguments, first_name=None, subject="s", body="b", sender=SENDER,
                unsubscribe_link=LINK,
            )  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [{"sender": replace(SENDER, shop="Another")}, {"unsubscribe_link": f"{LINK}x"},
     {"language": "fr"}, {"text": "Hello,\n\nnobody assembled this.\n"}],
)  # fmt: skip
def test_html_is_made_of_nothing_but_a_text_of_the_same_sender(other):
    same = {"text": message().text, "language": "en", "subject": "s", "preheader": "p",
            "sender": SENDER, "unsubscribe_link": LINK}  # fmt: skip
    assert as_html(**same)
    with pytest.raises(ValueError, match="ends otherwise"):
        as_html(**same | other)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=200))
def test_html_says_what_the_text_says_whatever_the_body_is(body):
    shown = "".join("".join(Outline(message(body=body).html).text).split())
    assert "".join(body.replace("•", "").split()) in shown.replace("•", "")
