"""The second seam: what every writer offers, offline or model."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from .brief import Brief, Draft
from .money import Budget, Estimate, Work

ATTEMPTS = 3


class Writer(Protocol):
    """Turns briefs into drafts."""

    name: str
    """Identity: changes whenever the same prompt could get another text."""

    def write(
        self, briefs: Iterable[Brief], keep: Callable[[Brief, Draft], None], budget: Budget
    ) -> Iterator[int]:
        """Write a draft per brief, in any order, and hand each to `keep` the moment it is there,
        from whatever thread: what was paid for must survive a kill. Yields how many were handed
        over since the last time.

        A brief whose request failed for the moment gets no draft. Raises PersonaError when going
        on makes no sense: an endpoint that refuses, a budget that the next call could exceed.
        """
        ...

    def estimate(self, work: Work) -> Estimate:
        """What writing the work of one language will take."""
        ...
