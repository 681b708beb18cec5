"""Text as the gates look at it: without product names, in sentences, normalised."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from ..display import display_product

# Stands for a product name: no letter, so that a word next to it keeps its boundary.
BLANK = "\ufffc"

# A word in Latin script, or a run of letters of others, which touch it in Japanese or Chinese.
_LATIN = "0-9A-Za-z\u00c0-\u024f"
WORD = re.compile(rf"[{_LATIN}]+(?:['’&.-][{_LATIN}]+)*%?|[^\W_{_LATIN}]+")
_SENTENCE_END = re.compile(r"(?<=[.!?…؟])[\"”»’)\]]*\s+|(?<=[。！？])[」』”）]*|\s*\n\s*")
# Arabic is compared without vowel marks and with one form of each letter.
_ARABIC_MARKS = re.compile("[\u064b-\u065f\u0670\u0640]")
_ARABIC_FORMS = str.maketrans("أإآٱىة", "اااايه")
_QUOTES = str.maketrans("‘’ʼ´`“”„–—‐‑−", "'''''\"\"\"-----")
_INVISIBLE = re.compile("[\u00ad\u061c\u200b-\u200f\u2060\u2066-\u2069\ufeff\ufe0f]")

_shown = lru_cache(maxsize=50_000)(display_product)


@lru_cache(maxsize=50_000)
def normalised(text: str) -> str:
    """`text` in one spelling: compatibility forms, case, quotes, dashes, Arabic letters."""
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold().translate(_QUOTES)
    return _ARABIC_MARKS.sub("", text).translate(_ARABIC_FORMS)


def sentences(text: str) -> list[str]:
    """The sentences of a text; a line's end also ends one."""
    return [piece for piece in _SENTENCE_END.split(text) if piece and not piece.isspace()]


def product_names(products: Iterable[str]) -> list[str]:
    """Every product name, raw and as displayed, those first that could hold another."""
    names = {name for raw in products for name in (raw, _shown(raw)) if name}
    return sorted(names, key=lambda name: (-len(name), name))


def without_names(text: str, names: Iterable[str]) -> str:
    """`text` with each of the names replaced by a blank, in their order."""
    for name in names:
        if name in text:
            text = text.replace(name, f" {BLANK} ")
    return text


def without_shortened_products(text: str, products: Iterable[str]) -> str:
    """`text` with every run of two or more words of one product name replaced by a blank.

    Models shorten names, change their case and swap their words.
    """
    for product in products:
        known = {word.casefold() for word in WORD.findall(product)}
        pieces, start = [], 0
        for first, last in _runs(text, known):
            pieces += [text[start:first], f" {BLANK} "]
            start = last
        text = "".join(pieces) + text[start:]
    return text


def _runs(text: str, known: set[str]) -> list[tuple[int, int]]:
    """Where two or more known words follow each other, as (start, end)."""
    runs, run = [], []
    for word in WORD.finditer(text):
        near = run and not text[run[-1].end() : word.start()].strip(" ,/()-")
        if word.group().casefold() in known:
            run = [*run, word] if near else [word]
        else:
            run = []
        if len(run) == 2:
            runs.append((run[0].start(), word.end()))
        elif len(run) > 2:
            runs[-1] = (run[0].start(), word.end())
    return runs
