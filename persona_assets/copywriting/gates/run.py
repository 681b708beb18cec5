"""All gates, in order."""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from ..brief import Brief, Draft
from . import duplicates, form, language, others, wording, words
from .text import sentences, without_products, without_shortened_products

_REMEMBERED = 50_000


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

    labels: those of all segments; catalogue: the shop's product names, about 0.5 KB of memory
    each; near_duplicates: False for a writer that repeats itself by design.
    """

    def __init__(
        self,
        labels: Iterable[str] = (),
        catalogue: Iterable[str] = (),
        near_duplicates: bool = True,
    ) -> None:
        self._labels = tuple(labels)
        self._catalogue = others.Catalogue(catalogue)
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
        parts = [
            without_products(part, brief.products)
            for part in (draft.subject, draft.preheader, draft.body)
        ]
        found = self._said_in(parts, brief)
        if found:
            # A shortened product name may look like a number, an offer or another language.
            shorter = [without_shortened_products(part, brief.products) for part in parts]
            return found if shorter == parts else self._said_in(shorter, brief)
        return found

    def _said_in(self, parts: list[str], brief: Brief) -> list[str]:
        code = brief.language
        texts = [*parts[:2], *(text for text in parts[2].split("\n") if text)]
        lines = [self._line(text, code) for text in texts]
        found = [problem for line in lines for problem in line.problems]
        body = lines[2:]
        found += _told(*(line.greeting for line in body[:1]))
        found += _told(*(line.sign_off for line in body[-2:]))
        if any(line.numbers for line in lines):
            numbers = {number for line in lines for number in line.numbers}
            found += _told(others.unknown_number(numbers, brief))
        if named := [name for line in lines for name in line.named]:
            found += _told(others.unoffered_product(named, brief.products))
        if found:
            return found
        unsure = []
        for text in texts:
            problem, short = _line_language(text, code)
            found += _told(problem)
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
                wording.boilerplate(piece, lists),
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


@lru_cache(_REMEMBERED)
def _line_language(text: str, code: str) -> tuple[str | None, tuple[str, ...]]:
    """The first problem with the language of a line, and its sentences too short to tell."""
    pieces = sentences(text)
    verdicts = [language.sentence_language(piece, code) for piece in pieces]
    problem = next((verdict for verdict in verdicts if verdict), None)
    unsure = (p for p, v in zip(pieces, verdicts, strict=True) if v == language.UNSURE)
    return problem, tuple(unsure)


_whole_language = lru_cache(_REMEMBERED)(language.whole_language)


def _told(*problems: str | None) -> list[str]:
    return [problem for problem in problems if problem]
