"""The gate against another customer's data: addresses, numbers, products not in the brief."""

import re
from collections.abc import Iterable
from functools import lru_cache

from ..brief import Brief
from ..display import display_product
from .text import WORD, normalised

SMALL = 3

_ADDRESS = re.compile(r"[\w.+-]+\s?(?:@|\(at\)|\[at\])\s?[\w-]+\.\w{2,}")
_PHONE = re.compile(r"(?<!\d)(?:\+\s?|\(?0)?\d(?:[\s()./-]{0,2}\d){7,}")
_ORDER = re.compile(r"#\s?[a-z]{0,4}-?\d{3,}|(?<![a-z])[a-z]{2,5}-?\d{5,}")
_NUMBER = re.compile(r"\d{1,3}(?:[.,'٬ ]\d{3})+(?!\d)|\d+")
_QUOTED = re.compile(r"[“„«\"「『《]\s*([^“”„«»\"「」『』《》\n]{3,100}?)\s*[”“»\"」』》]")
_LEAD = 3
_LOWER_LEAD = 5


def personal_data(sentence: str) -> str | None:
    """An e-mail address, a phone number or an order number."""
    text = normalised(sentence)
    for what, pattern in (("an address", _ADDRESS), ("a phone number", _PHONE),
                          ("an order number", _ORDER)):  # fmt: skip
        if pattern.search(text):
            return f"another's data: {what}"
    return None


@lru_cache(maxsize=50_000)
def numbers(sentence: str) -> frozenset[int]:
    """The whole numbers in a text, in any script's digits."""
    found = _NUMBER.findall(normalised(sentence))
    return frozenset(int(re.sub(r"\D", "", digits)[:18]) for digits in found)


def unknown_number(found: Iterable[int], brief: Brief) -> str | None:
    """A number that is not in the brief: neither a fact, nor part of a product name, nor up to
    three."""
    month = brief.last_order_month
    known = {brief.total_orders, brief.avg_basket, brief.order_interval_months}
    known |= {month.year, month.month} if month else set()
    unknown = [number for number in found if number > SMALL and number not in known]
    if unknown and (named := numbers(" ".join(brief.products))):
        unknown = [number for number in unknown if number not in named]
    return f"another's data: the number {min(unknown)} is not in the brief" if unknown else None


class Catalogue:
    """The shop's product names, indexed by the words that they begin with."""

    def __init__(self, names: Iterable[str]) -> None:
        self._whole: set[int] = set()
        self._leads: set[int] = set()
        self._firsts: set[str] = set()
        for name in names:
            shown = display_product(name)
            if not shown:
                continue
            words = WORD.findall(shown.removesuffix("…"))
            self._whole.add(hash(normalised(shown)))
            least = _lead(words)
            if len(words) >= least:
                self._firsts.add(words[0])
            for end in range(least, len(words) + 1):
                self._leads.add(hash(tuple(words[:end])))

    def named_in(self, sentence: str) -> tuple[tuple[str, ...], ...]:
        """The products that a text names, each as the words that it shows of it.

        Named is a whole name in quotation marks, or at least three words that a name begins with,
        in its case (five, if the name has no capitals: they may be the language's own words).
        """
        found = []
        for quoted in _QUOTED.findall(sentence):
            if hash(normalised(quoted)) in self._whole:
                found.append(tuple(WORD.findall(quoted)))
        words = WORD.findall(sentence)
        start = 0
        while start < len(words):
            end = self._longest(words, start) if words[start] in self._firsts else start
            if end > start:
                found.append(tuple(words[start:end]))
            start = max(start + 1, end)
        return tuple(found)

    def _longest(self, words: list[str], start: int) -> int:
        longest = start
        for end in range(start + _LEAD, len(words) + 1):
            if hash(tuple(words[start:end])) in self._leads:
                longest = end
            elif end >= start + _LOWER_LEAD:
                break
        return longest


def unoffered_product(
    named: Iterable[tuple[str, ...]], products: Iterable[str]
) -> str | None:
    """A product of the catalogue that the brief does not offer.

    What could as well be an offered product's name, shortened, is none.
    """
    offered = [{word.casefold() for word in WORD.findall(name)} for name in products]
    for words in named:
        if not any({word.casefold() for word in words} <= known for known in offered):
            return f"another's data: the product {' '.join(words)[:40]!r} is not in the brief"
    return None


def _lead(words: list[str]) -> int:
    return _LEAD if any(word != word.lower() for word in words) else _LOWER_LEAD


