"""The message that is sent: a draft's parts merged with greeting, call to action and footer."""

import re
import zlib
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from persona_assets.settings import Settings

from . import phrasebook
from .display import RTL_LANGUAGES, display_name, isolate

__all__ = ["Sender", "as_html", "assemble", "display_name"]

BULLET = "• "

_GAP = "\n\n"  # between the paragraphs of a text

_SANS = "-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_FONTS = {
    "ar": "'Geeza Pro','Segoe UI',Tahoma,'Noto Sans Arabic',sans-serif",
    "ja": "'Hiragino Sans','Yu Gothic',Meiryo,'Noto Sans CJK JP',sans-serif",
    "ko": "'Apple SD Gothic Neo','Malgun Gothic','Noto Sans CJK KR',sans-serif",
    "zh": "'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif",
}
_DISPLAY_FONT = "Georgia,'Times New Roman',serif"
# Outlook on Windows falls back to Times when it does not know the first font.
_OUTLOOK_FONTS = {"ar": "Tahoma", "ja": "'Yu Gothic'", "ko": "'Malgun Gothic'",
                  "zh": "'Microsoft YaHei'"}  # fmt: skip
_LEADING = {"ar": "1.8", "ja": "1.8", "ko": "1.75", "zh": "1.8"}
# Takes up the room after the preheader, where clients would go on with the body.
_FILLER = "\u034f\u200c\u00a0" * 150
# What differs from customer to customer, as it stands in a frame.
_SLOTS = ("subject", "preheader", "greeting", "paragraphs", "cta", "unsubscribe_link")
_SLOT = re.compile(f"\ue000({'|'.join(_SLOTS)})\ue001")


@dataclass(frozen=True, slots=True)
class Sender:
    """Who writes: the shop, where its button leads, where it is, and its picture, if any."""

    shop: str
    shop_url: str
    postal_address: str
    logo_url: str | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> "Sender":
        """The shop that the settings describe."""
        return cls(
            settings.shop_name, settings.shop_url, settings.postal_address, settings.logo_url
        )


def assemble(
    *,
    language: str,
    lifecycle: str,
    first_name: str | None,
    subject: str,
    body: str,
    sender: Sender,
    unsubscribe_link: str,
) -> str:
    """Merge one customer's e-mail as text, with the customer's own link to unsubscribe.

    `first_name` may be anything; what is no name is left out of the greeting. The body's
    paragraphs are separated by blank lines.
    Raises PhraseError for a language without phrases and ValueError for an unknown lifecycle.
    """
    frame = _frame(language, sender)
    labels = frame.cta.get(lifecycle)
    if labels is None:
        raise ValueError(f"unknown lifecycle {lifecycle!r}")
    cta = labels[zlib.crc32(f"{subject}\n{body}".encode("utf-8", "replace")) % len(labels)]
    return (
        f"{_greeting(language, first_name)}{_GAP}{body.strip()}{_GAP}{cta}"
        f"{frame.ending}{unsubscribe_link}\n"
    )


def as_html(
    text: str,
    *,
    language: str,
    subject: str,
    preheader: str,
    sender: Sender,
    unsubscribe_link: str,
) -> str:
    """The HTML of an e-mail that `assemble` made: it says what the text says.

    Lines of the body that start with a bullet become a list. Raises ValueError for a text that
    was assembled with another sender, another link, or other phrases.
    """
    frame = _frame(language, sender)
    ending = f"{frame.ending}{unsubscribe_link}\n"
    greeting, _, rest = text.removesuffix(ending).partition(_GAP)
    body, _, cta = rest.rpartition(_GAP)
    if not text.endswith(ending) or not any(cta in labels for labels in frame.cta.values()):
        raise ValueError("the text ends otherwise than the sender's e-mails do now")
    values = {
        "subject": escape(subject),
        "preheader": escape(preheader),
        "greeting": escape(greeting),
        "paragraphs": _paragraphs(body, frame.start),
        "cta": escape(cta),
        "unsubscribe_link": escape(unsubscribe_link),
    }
    return "".join([values[part] if slot else part for slot, part in frame.html])


def _paragraphs(body: str, start: str) -> str:
    """The body as HTML. Blank lines separate blocks, and so does the edge of a bullet list."""
    blocks: list[tuple[bool, list[str]]] = []
    separated = True
    for line in body.splitlines():
        line = line.strip()
        if not line:
            separated = True
            continue
        bullets = line.startswith(BULLET)
        if separated or blocks[-1][0] != bullets:
            blocks.append((bullets, []))
        blocks[-1][1].append(escape(line.removeprefix(BULLET).strip()))
        separated = False
    return "\n".join(
        f'<ul style="margin:0 0 20px;padding:0;padding-{start}:22px"><li style="margin:0 0 6px">'
        + '</li><li style="margin:0 0 6px">'.join(lines)
        + "</li></ul>"
        if bullets
        else f'<p style="margin:0 0 20px">{"<br>".join(lines)}</p>'
        for bullets, lines in blocks
    )


@lru_cache(maxsize=10_000)
def _greeting(language: str, first_name: str | None) -> str:
    envelope = phrasebook.load(language).envelope
    name = display_name(first_name)
    if name is None:
        return envelope["greeting_unnamed"]
    return envelope["greeting"].format(first_name=isolate(name, language))


@dataclass(frozen=True, slots=True)
class _Frame:
    """What all messages of a language and a sender share.

    html: (False, HTML) or (True, a slot's name), in order; ending: the text after the button's
    label, up to the customer's own link; cta: labels of the button by lifecycle; start: where
    lines begin.
    """

    html: tuple[tuple[bool, str], ...]
    ending: str
    cta: dict[str, tuple[str, ...]]
    start: str


@lru_cache(maxsize=64)
def _frame(language: str, sender: Sender) -> _Frame:
    """The template rendered once, with slots for what differs: a tenth of the time per e-mail."""
    phrases = phrasebook.load(language)
    shop = isolate(sender.shop, language)
    sign_off = phrases.envelope["sign_off"].format(shop=shop)
    reason = phrases.envelope["reason"].format(shop=shop)
    unsubscribe = phrases.envelope["unsubscribe"]
    look = _look(language)
    rendered = _template().render(
        look,
        language=language,
        sign_off=sign_off.split("\n"),
        reason=reason,
        unsubscribe=unsubscribe,
        shop=sender.shop,
        shop_url=sender.shop_url,
        logo_url=sender.logo_url,
        postal_address=sender.postal_address,
        **{name: f"\ue000{name}\ue001" for name in _SLOTS},
    )
    parts = enumerate(_SLOT.split(rendered))
    return _Frame(
        html=tuple((place % 2 == 1, part) for place, part in parts),
        ending=f"\n{sender.shop_url}\n\n{sign_off}\n\n--\n{reason}\n"
        f"{isolate(sender.postal_address, language)}\n\n{unsubscribe}\n",
        cta=phrases.cta,
        start=look["start"],
    )


def _look(language: str) -> dict[str, str]:
    rtl = language in RTL_LANGUAGES
    font = _FONTS.get(language, _SANS)
    return {
        "dir": "rtl" if rtl else "ltr",
        "start": "right" if rtl else "left",
        # Our own constants: unescaped, the quotes in them stay one character each.
        "font": Markup(font),
        "display_font": Markup(font if language in _FONTS else _DISPLAY_FONT),
        "outlook_font": Markup(_OUTLOOK_FONTS.get(language, "'Segoe UI'") + ",Arial,sans-serif"),
        "leading": _LEADING.get(language, "1.65"),
        "filler": _FILLER,
    }


@cache
def _template() -> Template:
    source = (files(__package__) / "message.html.j2").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source)
