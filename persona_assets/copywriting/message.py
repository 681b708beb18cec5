"""The message that is sent: a draft's parts merged with greeting, call to action and footer."""

import zlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from . import phrasebook
from .display import RTL_LANGUAGES, display_name, isolate

__all__ = ["Message", "Sender", "assemble", "display_name"]

BULLET = "• "

_SANS = "-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_FONTS = {
    "ar": "'Geeza Pro','Segoe UI',Tahoma,'Noto Sans Arabic',sans-serif",
    "ja": "'Hiragino Sans','Yu Gothic',Meiryo,'Noto Sans CJK JP',sans-serif",
    "ko": "'Apple SD Gothic Neo','Malgun Gothic','Noto Sans CJK KR',sans-serif",
    "zh": "'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif",
}
_DISPLAY_FONT = "Georgia,'Times New Roman',serif"
_LEADING = {"ar": "1.8", "ja": "1.8", "ko": "1.75", "zh": "1.8"}


@dataclass(frozen=True, slots=True)
class Sender:
    """Who writes: the shop, where it is, and where its customers unsubscribe."""

    shop: str
    shop_url: str
    postal_address: str
    unsubscribe_url: str


@dataclass(frozen=True, slots=True)
class Message:
    """One e-mail as plain text and as HTML."""

    text: str
    html: str


@dataclass(frozen=True, slots=True)
class _Paragraph:
    bullets: bool
    texts: tuple[str, ...]


def assemble(
    *,
    language: str,
    lifecycle: str,
    first_name: str | None,
    subject: str,
    preheader: str,
    body: str,
    sender: Sender,
) -> Message:
    """Merge one customer's message.

    `first_name` may be anything; what is no name is left out of the greeting. The body's
    paragraphs are separated by blank lines; lines starting with a bullet become a list.
    Raises PhraseError for a language without phrases and ValueError for an unknown lifecycle.
    """
    phrases = phrasebook.load(language)
    if lifecycle not in phrases.cta:
        raise ValueError(f"unknown lifecycle {lifecycle!r}")
    envelope, labels = phrases.envelope, phrases.cta[lifecycle]
    cta = labels[zlib.crc32(f"{subject}\n{body}".encode("utf-8", "replace")) % len(labels)]
    name = display_name(first_name)
    greeting = (
        envelope["greeting"].format(first_name=isolate(name, language))
        if name
        else envelope["greeting_unnamed"]
    )
    shop = isolate(sender.shop, language)
    sign_off = envelope["sign_off"].format(shop=shop)
    reason = envelope["reason"].format(shop=shop)
    unsubscribe = envelope["unsubscribe"]
    text = "\n\n".join(
        (
            greeting,
            body.strip(),
            f"{cta}\n{sender.shop_url}",
            sign_off,
            f"--\n{reason}\n{isolate(sender.postal_address, language)}",
            f"{unsubscribe}\n{sender.unsubscribe_url}\n",
        )
    )
    html = _template().render(
        _look(language),
        language=language,
        subject=subject,
        preheader=preheader,
        greeting=greeting,
        paragraphs=_paragraphs(body),
        cta=cta,
        sign_off=sign_off.split("\n"),
        reason=reason,
        unsubscribe=unsubscribe,
        shop=sender.shop,
        shop_url=sender.shop_url,
        postal_address=sender.postal_address,
        unsubscribe_url=sender.unsubscribe_url,
    )
    return Message(text=text, html=html)


def _paragraphs(body: str) -> list[_Paragraph]:
    """Blocks of lines: blank lines separate them, and so does the edge of a bullet list."""
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
        blocks[-1][1].append(line.removeprefix(BULLET).strip())
        separated = False
    return [_Paragraph(bullets, tuple(lines)) for bullets, lines in blocks]


@cache
def _look(language: str) -> dict[str, str]:
    rtl = language in RTL_LANGUAGES
    font = _FONTS.get(language, _SANS)
    return {
        "dir": "rtl" if rtl else "ltr",
        "start": "right" if rtl else "left",
        # Our own constants: unescaped, the quotes in them stay one character each.
        "font": Markup(font),
        "display_font": Markup(font if language in _FONTS else _DISPLAY_FONT),
        "leading": _LEADING.get(language, "1.65"),
    }


@cache
def _template() -> Template:
    source = (files(__package__) / "message.html.j2").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source)
