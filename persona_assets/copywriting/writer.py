"""The interface that every writer offers, offline or model."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from .brief import Brief, Draft


class Writer(Protocol):
    """Turns briefs into drafts."""

    name: str
    """Identity: changes whenever the same prompt could get another text."""

    def write(self, briefs: Iterable[Brief]) -> Iterator[Draft]:
        """Yield the drafts for the briefs, each carrying its brief's prompt_hash."""
        ...
