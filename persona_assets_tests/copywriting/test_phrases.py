"""Phrase files: schema, lengths, scripts."""

import re
import unicodedata
from itertools import combinations

import pytest

from persona_assets.copywriting import phrasebook
from persona_assets.copywriting.brief import LIFECYCLES
from persona_assets.copywriting.phrasebook import PhraseError

from .samples import LANGUAGES

ENGLISH = phrasebook.source("en")
LATIN = {"LATIN"}
SCRIPTS = {
    "ar": {"ARABIC"},
    "de": LATIN,
    "en": LATIN,
    "es": LATIN,
    "fr": LATIN,
    "ja": {"HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "CJK"},
    "ko": {"HANGUL"},
    "pt": LATIN,
    "zh": {"CJK"},
}


def phrases_of(language: str) -> list[str]:
    """Every phrase of a language, fields removed."""
    book = phrasebook.load(language)
    texts = [
        *book.envelope.values(),
        *book.orders.values(),
        *book.in_country.values(),
        *book.cart,
        *(text for texts in book.own.values() for text in texts),
        *book.located,
        *book.unlocated,
        *(text for texts in book.cta.values() for text in texts),
    ]
    for variants in book.variants.values():
        for variant in variants:
            texts += [
                variant.subject,
                variant.subject_product or "",
                variant.preheader,
                variant.opening,
                variant.opening_undated,
                variant.closing,
            ]
    return [re.sub(r"\{\w+\}", "", text) for text in texts]


def scripts_in(text: str) -> set[str]:
    """The scripts of the letters in a text, by the first word of their Unicode names."""
    letters = (c for c in text if unicodedata.category(c) in {"Lu", "Ll", "Lt", "Lo", "Lm"})
    # A few Han characters have no CJK in their names, such as the iteration mark.
    return {"CJK" if c in "々〇" else unicodedata.name(c).split()[0] for c in letters}


def columns(text: str) -> int:
    """Width in columns: ideographs, kana and hangul take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def test_there_is_a_phrase_file_for_every_language_and_no_other():
    assert phrasebook.languages() == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_phrase_file_follows_the_schema(language):
    book = phrasebook.load(language)
    assert set(book.variants) == set(LIFECYCLES)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("lifecycle", LIFECYCLES)
def test_every_preheader_has_the_length_that_inboxes_show(language, lifecycle):
    for variant in phrasebook.load(language).variants[lifecycle]:
        assert len(variant.preheader) <= 90, variant.preheader
        assert columns(variant.preheader) >= 40, variant.preheader


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_phrase_is_in_the_script_of_its_language(language):
    for text in phrases_of(language):
        assert scripts_in(text) <= SCRIPTS[language], text


def test_japanese_sentences_hold_kana():
    for variants in phrasebook.load("ja").variants.values():
        for variant in variants:
            for text in (variant.preheader, variant.opening, variant.closing):
                assert "HIRAGANA" in scripts_in(text), text


@pytest.mark.parametrize(("one", "other"), list(combinations(LANGUAGES, 2)))
def test_no_language_has_sentences_of_another(one, other):
    shared = set(phrases_of(one)) & set(phrases_of(other))
    assert not [text for text in shared if len(text) > 12]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_subject_shouts(language):
    book = phrasebook.load(language)
    for variant in (variant for variants in book.variants.values() for variant in variants):
        for subject in filter(None, (variant.subject, variant.subject_product)):
            assert len(re.findall("[!！]", subject)) <= 1
            assert not re.search(r"\b[A-ZÀ-Þ]{2,}\b", subject.replace("{product}", ""))
            assert not [c for c in subject if unicodedata.category(c) == "So"]


@pytest.mark.parametrize("language", ["de", "en", "es", "fr", "pt"])
def test_no_sentence_begins_with_the_lower_case_country_phrase(language):
    for text in phrasebook.load(language).located:
        assert not re.search(r"(^|[.?!]\s)\{in_country\}", text)


def test_french_phrases_leave_no_elision_before_a_month():
    for variants in phrasebook.load("fr").variants.values():
        for variant in variants:
            assert not re.search(r"\b(de|que|le) \{last_order\}", variant.opening)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('closing = "Step', 'ending = "Step', "closing"),
        ('opening = "Welcome, we', 'opening = "Welcome {orders}, we', "may not use {orders}"),
        ('preheader = "See what', 'preheader = "{product} See what', "may not use {product}"),
        ('subject = "Keep your', 'subject = "{product} your', "may not use {product}"),
        ('"May we show you {product}?"', '"May we show you this?"', "must use {product}"),
        ('opening_undated = "It is good', '# "', "opening_undated"),
        ("Unsubscribe", "{unsubscribe_url}", "may not use"),
        ("{count} orders", "{count:d} orders", "no format"),
        ("{count} orders", "{count} orders {", "orders.other"),
        ('"Discover the collection"', '"Discover the whole of the collection"', "longer than 28"),
        ('subject = "A simple thank you"', f'subject = "{"a" * 51}"', "longer than 50"),
        ('US = "in', 'XQX = "in', "unknown XQX"),
        ("[event]", "[events]", "lacks event"),
        ("[event]", "[event", "en.toml"),
    ],
)
def test_a_broken_phrase_file_is_refused_with_its_place(old, new, complaint):
    assert old in ENGLISH
    with pytest.raises(PhraseError, match=re.escape(complaint)) as caught:
        phrasebook.parse("en", ENGLISH.replace(old, new))
    assert str(caught.value).startswith("en.toml: ")


def test_an_unknown_language_is_refused_with_the_known_ones():
    with pytest.raises(PhraseError, match="'xx'.*de, en"):
        phrasebook.load("xx")
