"""What writing costs: prices, the estimate before a run, and the budget during it."""

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be written in one language: calls, and characters of their prompts together.

    Where this writer has written in the language before, what that took on average: input tokens
    per character of prompt, output tokens per call, and calls per accepted draft.
    """

    language: str
    calls: int
    characters: int
    input_tokens_per_character: float | None = None
    output_tokens_per_call: float | None = None
    calls_per_draft: float | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """Calls, tokens read and written, and their price in USD; None where no price is known."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0

    def __add__(self, other: "Estimate") -> "Estimate":
        costs = (self.cost_usd, other.cost_usd)
        return Estimate(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            None if None in costs else sum(costs),
        )


    def __str__(self) -> str:
        return f"{self.calls:,} calls"


class Budget:
    """How much may still be spent, in USD; None: no limit. Safe to use from several threads."""

    def __init__(self, limit: float | None = None, spent: float = 0.0) -> None:
        self.limit = limit
        self._spent = spent
        self._changed = threading.Condition()
