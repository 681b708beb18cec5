"""The phrase files: reading, checking and caching them."""

import string
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from babel import Locale

from .brief import LIFECYCLES

MAX_SUBJECT = 50
MAX_CTA = 28
OWN_KEYS = ("recent_one", "recent_many", "lapsed_one", "lapsed_many")
COUNTING_LIFECYCLES = frozenset({"loyal", "high_value"})
DATED_LIFECYCLES = frozenset({"active", "slipping_away", "long_gone"})

# Per envelope phrase: the fields that it must hold; no others are allowed.
_ENVELOPE = {
    "greeting": {"first_name"},
    "greeting_unnamed": set(),
    "sign_off": {"shop"},
    "reason": {"shop"},
    "unsubscribe": set(),
}


class PhraseError(ValueError):
    """A phrase file that is missing or does not follow the schema."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of writing to customers of one lifecycle."""

    subject: str
    subject_product: str | None
    preheader: str
    opening: str
    opening_undated: str
    closing: str


@dataclass(frozen=True, slots=True)
class Phrases:
    """All phrases of one language, as checked templates for str.format."""

    language: str
    envelope: dict[str, str]
    quotes: tuple[str, str]
    orders: dict[str, str]
    in_country: dict[str, str]
    cart: tuple[str, ...]
    own: dict[str, tuple[str, ...]]
    located: tuple[str, ...]
    unlocated: tuple[str, ...]
    cta: dict[str, tuple[str, ...]]
    variants: dict[str, tuple[Variant, ...]]


def languages() -> tuple[str, ...]:
    """The languages that have a phrase file, sorted."""
    return tuple(sorted(_sources()))


def source(language: str) -> str:
    """The text of a language's phrase file. Raises PhraseError when there is none."""
    try:
        return _sources()[language]
    except KeyError:
        raise PhraseError(
            f"no phrases for language {language!r}; there are: {', '.join(languages())}"
        ) from None


@cache
def load(language: str) -> Phrases:
    """The checked phrases of a language. Raises PhraseError, saying what is wrong where."""
    return parse(language, source(language))


def parse(language: str, text: str) -> Phrases:
    """Phrases from the text of a phrase file. Raises PhraseError, saying what is wrong where."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PhraseError(f"{language}.toml: {error}") from error
    return _Reader(language).phrases(data)


@cache
def _sources() -> dict[str, str]:
    folder = files(__package__) / "phrases"
    return {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }


class _Reader:
    """Checks one file; every complaint names the file and the place in it."""

    def __init__(self, language: str):
        self.language = language

    def fail(self, where: str, what: str):
        raise PhraseError(f"{self.language}.toml: {where}: {what}")

    def phrases(self, data: dict) -> Phrases:
        sections = ("envelope", "orders", "in_country", "event", "own", "popular", "lifecycle")
        self.keys("top level", data, sections)
        envelope = data["envelope"]
        self.keys("envelope", envelope, (*_ENVELOPE, "quotes"))
        quotes = envelope["quotes"]
        if not (isinstance(quotes, list) and len(quotes) == 2):
            self.fail("envelope.quotes", "must be an opening and a closing mark")
        self.keys("event", data["event"], ("cart",))
        self.keys("own", data["own"], OWN_KEYS)
        self.keys("popular", data["popular"], ("located", "unlocated"))
        self.keys("lifecycle", data["lifecycle"], LIFECYCLES)
        popular, lifecycles = data["popular"], data["lifecycle"]
        for name, lifecycle in lifecycles.items():
            self.keys(f"lifecycle.{name}", lifecycle, ("cta", "variants"))
        return Phrases(
            language=self.language,
            envelope={
                key: self.template(f"envelope.{key}", envelope[key], needs)
                for key, needs in _ENVELOPE.items()
            },
            quotes=tuple(self.template("envelope.quotes", mark) for mark in quotes),
            orders=self.orders(data["orders"]),
            in_country=self.in_country(data["in_country"]),
            cart=self.several("event.cart", data["event"]["cart"], 2, 3),
            own={
                key: self.several(f"own.{key}", data["own"][key], 4, 4, {"products"})
                for key in OWN_KEYS
            },
            located=self.several(
                "popular.located", popular["located"], 4, 4, {"in_country", "products"}
            ),
            unlocated=self.several(
                "popular.unlocated", popular["unlocated"], 4, 4, {"products"}
            ),
            cta={name: self.cta(name, lifecycles[name]["cta"]) for name in LIFECYCLES},
            variants={
                name: self.variants(name, lifecycles[name]["variants"]) for name in LIFECYCLES
            },
        )

    def keys(self, where: str, table: object, required, optional=()):
        if not isinstance(table, dict):
            self.fail(where, "must be a table")
        if missing := [key for key in required if key not in table]:
            self.fail(where, f"lacks {', '.join(missing)}")
        if unknown := [key for key in table if key not in required and key not in optional]:
            self.fail(where, f"has unknown {', '.join(unknown)}")

    def template(self, where: str, text: object, needs=frozenset(), may=frozenset()) -> str:
        if not isinstance(text, str) or not text.strip():
            self.fail(where, "must be text")
        try:
            parts = list(string.Formatter().parse(text))
        except ValueError as error:
            self.fail(where, str(error))
        fields = {field for _, field, _, _ in parts if field is not None}
        if any(spec or conversion for _, _, spec, conversion in parts):
            self.fail(where, "fields take no format")
        if wrong := fields - needs - may:
            self.fail(where, f"may not use {', '.join(sorted('{' + f + '}' for f in wrong))}")
        if missing := needs - fields:
            self.fail(where, f"must use {', '.join(sorted('{' + f + '}' for f in missing))}")
        return text

    def several(self, where: str, texts: object, least: int, most: int, needs=frozenset()):
        if not isinstance(texts, list) or not least <= len(texts) <= most:
            self.fail(where, f"must list {least} to {most} phrases")
        if len(set(texts)) < len(texts):
            self.fail(where, "lists the same phrase twice")
        return tuple(
            self.template(f"{where}[{i}]", text, needs) for i, text in enumerate(texts)
        )

    def cta(self, lifecycle: str, texts: object):
        where = f"lifecycle.{lifecycle}.cta"
        labels = self.several(where, texts, 2, 2)
        for label in labels:
            if len(label) > MAX_CTA:
                self.fail(where, f"{label!r} is longer than {MAX_CTA}")
        return labels

    def orders(self, table: dict) -> dict[str, str]:
        plural = Locale.parse(self.language).plural_form
        # French or Spanish also have a category for millions, which no customer reaches.
        needed = {plural(count) for count in range(1, 1001)} | {"other"}
        self.keys("orders", table, sorted(needed), plural.tags)
        return {
            category: self.template(f"orders.{category}", text, may={"count"})
            for category, text in table.items()
        }

    def in_country(self, table: dict) -> dict[str, str]:
        territories = Locale.parse("en").territories
        self.keys("in_country", table, (), {"default", *territories})
        return {
            code: self.template(
                f"in_country.{code}",
                text,
                {"country"} if code == "default" else set(),
                {"country"},
            )
            for code, text in table.items()
        }

    def variants(self, lifecycle: str, tables: object) -> tuple[Variant, ...]:
        if not isinstance(tables, list) or len(tables) != 4:
            self.fail(f"lifecycle.{lifecycle}.variants", "must list 4 variants")
        return tuple(
            self.variant(lifecycle, f"lifecycle.{lifecycle}.variants[{i}]", table)
            for i, table in enumerate(tables)
        )

    def variant(self, lifecycle: str, where: str, table: dict) -> Variant:
        self.keys(
            where,
            table,
            ("subject", "preheader", "opening", "closing"),
            ("subject_product", "opening_undated"),
        )
        may = {"orders"} if lifecycle in COUNTING_LIFECYCLES else set()
        dated = {"last_order"} if lifecycle in DATED_LIFECYCLES else set()
        opening = self.template(f"{where}.opening", table["opening"], may=may | dated)
        undated = table.get("opening_undated")
        if ("{last_order}" in opening) != (undated is not None):
            self.fail(where, "opening_undated goes with an opening that uses {last_order}")
        subject = self.template(f"{where}.subject", table["subject"])
        if len(subject) > MAX_SUBJECT:
            self.fail(f"{where}.subject", f"is longer than {MAX_SUBJECT}")
        about = table.get("subject_product")
        if about is not None:
            self.template(f"{where}.subject_product", about, {"product"})
        return Variant(
            subject=subject,
            subject_product=about,
            preheader=self.template(f"{where}.preheader", table["preheader"]),
            opening=opening,
            opening_undated=opening
            if undated is None
            else self.template(f"{where}.opening_undated", undated, may=may),
            closing=self.template(f"{where}.closing", table["closing"]),
        )
