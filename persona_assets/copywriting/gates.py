"""What a draft must satisfy to be accepted.

Each gate is a pure function that returns a problem as text, or None.
"""

import re
import unicodedata
from collections.abc import Iterable

from .brief import Brief, Draft
from .display import display_product

MAX_SUBJECT = 50
MAX_PREHEADER = 110

# Only shapes that a template or a model leaves behind: braces around words, doubled braces,
# and brackets that ask for a value. A blanked product inside braces is still a placeholder.
_PLACEHOLDER = re.compile(
    r"\{\{|\}\}|\{%|\{[\w .\ufffc-]+\}"
    r"|\[\s*(?:your|my|the|insert|first|last|customer|company|shop|brand|product|name|link|date)"
    r"\b[^\]\n]{0,40}\]",
    re.IGNORECASE,
)
_SEPARATORS = re.compile(r"[\s_\-‐‑]+")
_UNSPACED_LANGUAGES = frozenset({"ja", "ko", "zh"})
# Stands for a product name: no letter, so that a word next to it keeps its boundary.
_BLANK = " \ufffc "


def empty_part(subject: str, preheader: str, body: str) -> str | None:
    """A part without visible text."""
    parts = {"subject": subject, "preheader": preheader, "body": body}
    empty = [name for name, text in parts.items() if not text.strip()]
    return f"empty: {', '.join(empty)}" if empty else None


def long_subject(subject: str) -> str | None:
    """A subject longer than 50 characters."""
    return f"subject longer than {MAX_SUBJECT}" if len(subject) > MAX_SUBJECT else None


def broken_subject(subject: str) -> str | None:
    """Control characters, line breaks or bidi overrides in the subject."""
    if subject.isprintable():
        return None
    for char in subject:
        kind = unicodedata.category(char)
        if kind in {"Cc", "Cs", "Zl", "Zp"} or "\u202a" <= char <= "\u202e":
            return "control character in subject"
    return None


def long_preheader(preheader: str) -> str | None:
    """A preheader longer than 110 characters."""
    return f"preheader longer than {MAX_PREHEADER}" if len(preheader) > MAX_PREHEADER else None


def placeholder(text: str) -> str | None:
    """An unrendered placeholder; `text` must have its product names blanked out."""
    found = _PLACEHOLDER.search(text)
    return f"unrendered placeholder: {found.group()}" if found else None


def segment_leak(text: str, segment_label: str | None, language: str) -> str | None:
    """The segment label in the text, whatever the case or the separators between its words."""
    label = _SEPARATORS.sub(" ", segment_label or "").strip()
    if not label:
        return None
    pattern = re.escape(label.casefold())
    if language not in _UNSPACED_LANGUAGES:  # words touch each other in the others
        pattern = rf"(?<!\w){pattern}(?!\w)"
    if re.search(pattern, _SEPARATORS.sub(" ", text).casefold()):
        return "segment label in text"
    return None


def without_products(text: str, products: Iterable[str]) -> str:
    """`text` with every product name, raw or as displayed, blanked out."""
    shown = (display_product(name) for name in products)
    names = {name for pair in zip(products, shown, strict=True) for name in pair if name}
    for name in sorted(names, key=lambda name: (-len(name), name)):
        text = text.replace(name, _BLANK)
    return text


class Gates:
    """The gates of one language."""

    def __init__(
        self,
        labels: Iterable[str] = (),
        catalogue: Iterable[str] = (),
        near_duplicates: bool = True,
    ) -> None:
        self.labels = tuple(labels)
        self.catalogue = tuple(catalogue)

    def remember(self, texts: Iterable[str]) -> None:
        """Shim."""

    def problems(self, draft: Draft, brief: Brief) -> tuple[str, ...]:
        """Every problem of a draft; empty when it is acceptable.

        Product names that the brief offered are data and may hold anything, so placeholders and
        labels are looked for outside of them.
        """
        subject, preheader, body = draft.subject, draft.preheader, draft.body
        own_words = without_products(f"{subject}\n{preheader}\n{body}", brief.products)
        found = (
            empty_part(subject, preheader, body),
            long_subject(subject),
            broken_subject(subject),
            long_preheader(preheader),
            placeholder(own_words),
            *(segment_leak(own_words, label, brief.language) for label in self.labels),
        )
        return (*draft.problems, *(problem for problem in found if problem))
