"""Making untrusted text showable: product names and first names."""

import re
import unicodedata

MAX_PRODUCT = 80
MAX_NAME = 40
RTL_LANGUAGES = frozenset({"ar"})

_FSI, _PDI = "\u2068", "\u2069"
_NAME_PUNCTUATION = frozenset(" '’-‐‑.·・")
_URL_LIKE = re.compile(r"www\.|\w\.\w\w", re.IGNORECASE)


def display_product(name: str) -> str | None:
    """A product name as it may be shown: one line, no invisible characters, at most 80 long.

    Longer names are cut at a word boundary and end with an ellipsis. None when nothing is left.
    """
    text = " ".join(name.split())
    if not text.isprintable():
        # Category C: control, format (bidi overrides, zero-width), surrogate, unassigned.
        kept = "".join(c for c in text if unicodedata.category(c)[0] != "C")
        text = " ".join(kept.split())
    if len(text) > MAX_PRODUCT:
        head = text[:MAX_PRODUCT]
        cut = head.rfind(" ")
        if cut < MAX_PRODUCT // 2:  # one endless word: cut inside it
            cut = MAX_PRODUCT - 1
        text = head[:cut].rstrip(" ,;:-–—/&") + "…"
    return text or None


def display_name(first_name: str | None) -> str | None:
    """What a customer may be greeted with, or None when the value is not usable as a name.

    Names in any script pass, with apostrophes, hyphens, dots and spaces. Digits, markup,
    symbols, invisible characters, URLs and more than 40 characters do not.
    """
    name = " ".join((first_name or "").split())
    if not name or len(name) > MAX_NAME or _URL_LIKE.search(name):
        return None
    has_letter = False
    for char in name:
        kind = unicodedata.category(char)[0]
        if kind == "L":
            has_letter = True
        elif kind != "M" and char not in _NAME_PUNCTUATION:
            return None
    return name if has_letter else None


def isolate(value: str, language: str) -> str:
    """`value` for insertion into running text of `language`.

    In right-to-left languages, left-to-right values are wrapped in isolates, so that
    neighbouring punctuation stays where it belongs.
    """
    if language in RTL_LANGUAGES and any(unicodedata.bidirectional(c) == "L" for c in value):
        return f"{_FSI}{value}{_PDI}"
    return value
