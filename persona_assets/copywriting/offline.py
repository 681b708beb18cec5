"""The offline writer: e-mails from phrase files, without a model.

Pure and deterministic: the text depends on the brief and the phrase files alone, and the
digits of prompt_hash choose among the alternatives.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import cache, lru_cache

import babel
from babel import Locale
from babel.dates import format_skeleton
from babel.lists import format_list
from babel.numbers import format_decimal

from . import gates, phrasebook
from .brief import Brief, Draft
from .display import display_product, isolate
from .money import Budget, Estimate, Work
from .phrasebook import Phrases, Variant

# Raise when the code below could give another text for the same brief.
CODE_VERSION = "1"

MAX_SUBJECT = gates.MAX_SUBJECT
MAX_OWN = 3
MAX_POPULAR = 3
MAX_POPULAR_AFTER_OWN = 2  # product names are long: two lists of three would be a catalogue

_LAPSED = frozenset({"slipping_away", "long_gone"})


class OfflineWriter:
    """Writes drafts from the phrase files; implements writer.Writer."""

    def __init__(self):
        self.name = f"offline:{_fingerprint()}"

    def write(
        self, briefs: Iterable[Brief], keep: Callable[[Brief, Draft], None], budget: Budget
    ) -> Iterator[int]:
        """One draft per brief, in order, at no cost.

        Raises PhraseError for a language without phrases and ValueError for an unknown
        lifecycle or a prompt_hash that is not hexadecimal.
        """
        for brief in briefs:
            keep(brief, Draft(brief.prompt_hash, self.name, brief.attempt, *compose(brief)))
            yield 1

    def estimate(self, work: Work) -> Estimate:
        """Nothing: no call is made."""
        return Estimate()


def compose(brief: Brief) -> tuple[str, str, str]:
    """Subject, preheader and body for a brief. Raises as OfflineWriter.write does."""
    phrases = phrasebook.load(brief.language)
    if brief.lifecycle not in phrases.variants:
        raise ValueError(f"unknown lifecycle {brief.lifecycle!r}")
    choose = _Choice(brief.prompt_hash)
    variant = choose(phrases.variants[brief.lifecycle])
    bought = _shown(brief.top_products_user)
    own = () if brief.lifecycle == "prospect" else bought[:MAX_OWN]
    has = {name.casefold() for name in bought}
    popular = tuple(
        name for name in _shown(brief.top_products_country) if name.casefold() not in has
    )[: MAX_POPULAR_AFTER_OWN if own else MAX_POPULAR]

    # Every choice is made for every brief, so that one does not shift the digits of the next.
    own_choice, popular_choice, cart_choice = choose.digit(4), choose.digit(4), choose.digit(6)

    paragraphs = [
        _opening(phrases, variant, brief),
        _own(phrases, own, brief.lifecycle, own_choice),
        phrases.cart[cart_choice % len(phrases.cart)] if brief.last_event == "cart" else "",
        _popular(phrases, popular, brief.territory, popular_choice),
        variant.closing,
    ]
    body = "\n\n".join(paragraph for paragraph in paragraphs if paragraph)
    product = next(iter(popular if brief.lifecycle == "prospect" else own), None)
    return _subject(phrases, variant, product), variant.preheader, body


class _Choice:
    """Independent choices from the digits of a hash."""

    def __init__(self, prompt_hash: str):
        self._rest = int(prompt_hash, 16)

    def digit(self, base: int) -> int:
        self._rest, digit = divmod(self._rest, base)
        return digit

    def __call__(self, alternatives: tuple):
        return alternatives[self.digit(len(alternatives))]


def _shown(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in map(_display_product, names) if name))


def _opening(phrases: Phrases, variant: Variant, brief: Brief) -> str:
    month = brief.last_order_month
    return (variant.opening_undated if month is None else variant.opening).format(
        orders=_orders(phrases.language, brief.total_orders),
        last_order="" if month is None else _month(phrases.language, month),
    )


def _own(phrases: Phrases, products: tuple[str, ...], lifecycle: str, choice: int) -> str:
    if not products:
        return ""
    group = "lapsed" if lifecycle in _LAPSED else "recent"
    templates = phrases.own[f"{group}_{'one' if len(products) == 1 else 'many'}"]
    return templates[choice % len(templates)].format(
        products=_quoted_list(phrases.language, products)
    )


def _popular(
    phrases: Phrases, products: tuple[str, ...], territory: str | None, choice: int
) -> str:
    if not products:
        return ""
    place = territory and _in_country(phrases.language, territory)
    templates = phrases.located if place else phrases.unlocated
    return templates[choice % len(templates)].format(
        products=_quoted_list(phrases.language, products), in_country=place
    )


def _subject(phrases: Phrases, variant: Variant, product: str | None) -> str:
    if product and variant.subject_product:
        opening, closing = phrases.quotes
        for shown in (f"{opening}{product}{closing}", product):
            subject = variant.subject_product.format(product=shown)
            if len(subject) <= MAX_SUBJECT:
                return subject
    return variant.subject


# Popular products come back in every brief of a country.
@lru_cache(maxsize=10_000)
def _quoted_list(language: str, products: tuple[str, ...]) -> str:
    opening, closing = phrasebook.load(language).quotes
    quoted = [f"{opening}{isolate(name, language)}{closing}" for name in products]
    return quoted[0] if len(quoted) == 1 else format_list(quoted, locale=_locale(language))


_display_product = lru_cache(maxsize=50_000)(display_product)


@cache
def _locale(language: str) -> Locale:
    return Locale.parse(language)


@lru_cache(maxsize=10_000)
def _orders(language: str, count: int) -> str:
    locale, orders = _locale(language), phrasebook.load(language).orders
    template = orders.get(locale.plural_form(count), orders["other"])
    return template.format(count=format_decimal(count, locale=locale))


@lru_cache(maxsize=10_000)
def _month(language: str, month: date) -> str:
    return format_skeleton("yMMMM", month, locale=_locale(language))


@cache
def _in_country(language: str, territory: str) -> str | None:
    patterns, country = (
        phrasebook.load(language).in_country,
        _locale(language).territories.get(territory),
    )
    pattern = patterns.get(territory, patterns.get("default"))
    return pattern.format(country=country) if pattern and country else None


@cache
def _fingerprint() -> str:
    # Babel's version counts: month and country names come from its CLDR data.
    digest = hashlib.sha256(f"{CODE_VERSION}\n{babel.__version__}\n".encode())
    for language in phrasebook.languages():
        digest.update(f"{language}\n{phrasebook.source(language)}\n".encode())
    return digest.hexdigest()[:8]
