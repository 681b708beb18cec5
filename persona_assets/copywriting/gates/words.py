"""The word lists of the gates: one file per language, compiled once."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from persona_assets.languages import LANGUAGES

_KEYS = ("fields", "headings", "greetings", "sign_offs", "internal", "offers", "average", "stock",
         "common")  # fmt: skip
_LATIN = "a-zß-öø-ÿœ0-9_"
_ARABIC = "\u0621-\u064a"
# Conjunctions, prepositions and the article are written together with the word.
_ARABIC_PREFIX = "(?:[وف]?(?:[بكل]?ال|لل|[بكل])?)?"


@dataclass(frozen=True, slots=True)
class Words:
    """What the gates look for in one language, to be searched in normalised text.

    fields: what stands between brackets for a value to come; headings, greetings, sign_offs: how
    a line begins; internal, offers: anywhere; average: makes an amount the customer's own; stock:
    stock phrases of the eight other languages; common, foreign: frequent words that only this
    language has, and those that only the others have.
    """

    fields: re.Pattern[str]
    headings: re.Pattern[str]
    greetings: re.Pattern[str]
    sign_offs: re.Pattern[str]
    internal: re.Pattern[str]
    offers: re.Pattern[str]
    average: re.Pattern[str]
    stock: tuple[re.Pattern[str], ...]
    common: frozenset[str]
    foreign: frozenset[str]


@cache
def load(language: str) -> Words:
    """The words of a language together with those that count in every language."""
    everywhere = _lists("any")
    own = {key: [*_lists(language)[key], *everywhere[key]] for key in _KEYS}
    others = {code: _lists(code) for code in LANGUAGES if code != language}
    return Words(
        fields=re.compile(rf"(?:{_either(own['fields'])})"),
        headings=re.compile(rf"\s*(?:{_either(own['headings'])})\s*:"),
        greetings=re.compile(rf"[^\w]*(?:{_either(own['greetings'])})"),
        sign_offs=re.compile(rf"[^\w]*(?:{_either(own['sign_offs'])})"),
        internal=re.compile(_anywhere(own["internal"], language)),
        offers=re.compile(_anywhere(own["offers"], language)),
        average=re.compile(_anywhere(own["average"], language)),
        stock=tuple(map(_stock, others)),
        common=frozenset(own["common"]),
        foreign=frozenset(word for one in others.values() for word in one["common"]),
    )


@cache
def _stock(language: str) -> re.Pattern[str]:
    return re.compile(_anywhere(_lists(language)["stock"], language))


@cache
def _lists(name: str) -> dict[str, list[str]]:
    source = (files(__package__) / "words" / f"{name}.toml").read_text(encoding="utf-8")
    lists = tomllib.loads(source)
    return {key: [line for line in lists.get(key, "").split("\n") if line] for key in _KEYS}


def _either(patterns: list[str]) -> str:
    return "|".join(patterns) or "(?!)"


def _anywhere(patterns: list[str], language: str) -> str:
    """One pattern for all: a Latin or Arabic word begins and ends as one, others touch theirs.

    A pattern that begins or ends with no letter needs no boundary there.
    """
    if language == "ar":
        latin = [pattern for pattern in patterns if pattern.isascii()]
        arabic = _either([pattern for pattern in patterns if not pattern.isascii()])
        bounded = rf"(?<![{_ARABIC}]){_ARABIC_PREFIX}(?:{arabic})(?![{_ARABIC}])"
        return f"{bounded}|{_anywhere(latin, 'en')}" if latin else bounded
    if language in {"ja", "ko", "zh"}:
        latin = [pattern for pattern in patterns if pattern.isascii()]
        own = _either([pattern for pattern in patterns if not pattern.isascii()])
        return f"{own}|{_anywhere(latin, 'en')}" if latin else own
    return rf"(?<![{_LATIN}])(?:{_either(patterns)})(?![{_LATIN}])"
