"""All gates, in order."""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from ..brief import Brief, Draft
from . import duplicates, form, language, others, wording, words
from .text import product_names, sentences, without_names, without_shortened_products

_REMEMBERED = 50_000
# The languages of one run have one catalogue.
_indexed = lru_cache(maxsize=1)(others.Catalogue)


def reason(problem: str) -> str:
    """The name of the gate that a problem comes from."""
    return problem.partition(":")[0]


class _Line(NamedTuple):
    """What the gates see in one line, wherever it stands and whatever the brief is."""

    problems: tuple[str, ...]
    greeting: str | None
    sign_off: str | None
    numbers: frozenset[int]
    named: tuple[tuple[str, ...], ...]


class Gates:
    """The gates for the drafts of one partition; may be used from several threads.

    labels: those of all segments; catalogue: the shop's product names, about 0.7 KB of memory
    each; near_duplicates: False for a writer that repeats itself by design.
    """

    def __init__(
        self,
        labels: Iterable[str] = (),
        catalogue: Iterable[str] = (),
        near_duplicates: bool = True,
    ) -> None:
        self._labels = tuple(labels)
        self._catalogue = _indexed(tuple(catalogue))
        self._seen = duplicates.Seen() if near_duplicates else None
        self._label_pattern = lru_cache(maxsize=None)(self._label_pattern_of)
        # The offline writer's lines come back thousands of times.
        self._line = lru_cache(_REMEMBERED)(self._line_of)

    def remember(self, texts: Iterable[str]) -> None:
        """Take the texts of e-mails accepted before (see text_of) as seen."""
        if self._seen:
            self._seen.remember(texts)

    def problems(self, draft: Draft, brief: Brief) -> tuple[str, ...]:
        """Every problem of a draft, the writer's own first; empty when it is acceptable.

        Of the gates, the costly ones run when the cheap ones found nothing. A draft without
        problems is remembered, and the next one like it is a near-duplicate.
        """
        found = [*draft.problems, *_told(form.finish_reason(draft))]
        if not draft.problems:  # otherwise there may be no parts to look at
            found += _told(form.empty(draft), form.length(draft), form.control_character(draft))
            found += self._said(draft, brief)
        if not found and self._seen:
            found += _told(self._seen.near_duplicate(text_of(draft)))
        return tuple(dict.fromkeys(found))

    def _said(self, draft: Draft, brief: Brief) -> list[str]:
        """What is wrong with the words, product names apart."""
        names = product_names(brief.products)
        parts = [
            without_names(part, names)
            for part in (draft.subject, draft.preheader, draft.body)
        ]
        found = self._said_in(parts, brief)
        if found:
            # A shortened product name may look like a number, an offer or another language.
            shorter = [without_shortened_products(part, brief.products) for part in parts]
            found = found if shorter == parts else self._said_in(shorter, brief)
        return found + self._named_in(parts, brief)

    def _named_in(self, parts: list[str], brief: Brief) -> list[str]:
        named = [name for text in _lines(parts) for name in self._line(text, brief.language).named]
        return _told(others.unoffered_product(named, brief.products)) if named else []

    def _said_in(self, parts: list[str], brief: Brief) -> list[str]:
        code = brief.language
        texts = _lines(parts)
        lines = [self._line(text, code) for text in texts]
        found = [problem for line in lines for problem in line.problems]
        body = lines[2:]
        found += _told(*(line.greeting for line in body[:1]))
        found += _told(*(line.sign_off for line in body[-2:]))
        found += _told(form.signature(texts[-1].rstrip()) if body else None)
        if any(line.numbers for line in lines):
            numbers = {number for line in lines for number in line.numbers}
            found += _told(others.unknown_number(numbers, brief))
        if found:
            return found
        unsure = []
        for text in texts:
            problems, short = _line_language(text, code)
            found += problems
            unsure += short
        if unsure and not found:
            found += _told(_whole_language(" ".join(unsure), code))
        return found

    def _line_of(self, text: str, code: str) -> _Line:
        lists, labels, pieces = words.load(code), self._label_pattern(code), sentences(text)
        problems = _told(form.markup(text), form.mojibake(text), form.heading(text, lists))
        for piece in pieces:
            problems += _told(
                wording.placeholder(piece, code, lists),
                wording.internal_word(piece, lists),
                wording.label_leak(piece, labels),
                others.personal_data(piece),
                wording.invented_offer(piece, lists),
            )
        return _Line(
            tuple(dict.fromkeys(problems)),
            form.greeting(text, lists),
            next(filter(None, (form.sign_off(piece, lists) for piece in pieces[-2:])), None),
            others.numbers(text),
            self._catalogue.named_in(text),
        )

    def _label_pattern_of(self, code: str):
        return wording.label_pattern(self._labels, code)


def text_of(draft: Draft) -> str:
    """The text that near-duplicates are told by."""
    return f"{draft.subject}\n{draft.preheader}\n{draft.body}"


def _lines(parts: list[str]) -> list[str]:
    subject, preheader, body = parts
    return [subject, preheader, *(text for text in body.split("\n") if text)]


@lru_cache(_REMEMBERED)
def _line_language(text: str, code: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The problems with the language of a line, and its sentences too short to tell."""
    lists, pieces = words.load(code), sentences(text)
    verdicts = [language.sentence_language(piece, code, lists) for piece in pieces]
    stock = [problem for piece in pieces for problem in _told(wording.boilerplate(piece, lists))]
    unsure = (p for p, v in zip(pieces, verdicts, strict=True) if v == language.UNSURE)
    return (*_told(*verdicts), *stock), tuple(unsure)


_whole_language = lru_cache(_REMEMBERED)(language.whole_language)


def _told(*problems: str | None) -> list[str]:
    return [problem for problem in problems if problem]
