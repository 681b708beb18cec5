"""What writing costs: prices, the estimate before a run, and the budget during it."""

import math
import threading
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from persona_assets.errors import InputError, PersonaError

PACKAGED_PRICES = Path(__file__).with_name("prices.toml")
EXAMPLE = 'date = 2026-11-01\n["{model}"]\ninput = 0.30\noutput = 2.50'


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens read and written, as of a day."""

    input: float
    output: float
    as_of: date

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """USD for so many tokens."""
        return (input_tokens * self.input + output_tokens * self.output) / 1_000_000


def load_price(model: str, prices_file: Path | None = None) -> Price | None:
    """The price of a model: from the given file, or else from the packaged prices.toml; None
    where neither has it. A model with a provider before its name (google/…, models/…) is also
    found without. Raises InputError for a file that cannot be read as prices."""
    for file in (prices_file, PACKAGED_PRICES):
        if file is None:
            continue
        prices = _read_prices(file)
        found = prices.get(model) or prices.get(model.rpartition("/")[2])
        if found is not None:
            return found
    return None


def _read_prices(file: Path) -> dict[str, Price]:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"The prices {file} cannot be read ({error.strerror}): check PERSONA_PRICES_FILE."
        ) from None
    except ValueError as error:  # also what is not UTF-8
        raise InputError(f"The prices {file} are no TOML: {error}.") from None
    as_of = content.pop("date", None)
    if type(as_of) is not date:
        raise InputError(f"The prices {file} have no date: add a line like date = 2026-11-01.")
    return {model: _price(file, model, given, as_of) for model, given in content.items()}


def _price(file: Path, model: str, given: Any, as_of: date) -> Price:
    values = [given.get(side) for side in ("input", "output")] if isinstance(given, dict) else []
    if len(values) != 2 or not all(_is_price(value) for value in values):
        raise InputError(
            f"The prices {file} need input and output for {model!r}, in USD per million tokens, "
            f"zero or more, as in:\n{EXAMPLE.format(model=model)}"
        )
    return Price(*map(float, values), as_of)


def _is_price(value: Any) -> bool:
    return type(value) in {int, float} and math.isfinite(value) and value >= 0


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
    """Calls, tokens read and written, and their price in USD; None where no price is known.
    `source`: whose price and of when."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    source: str = ""

    def __add__(self, other: "Estimate") -> "Estimate":
        costs = (self.cost_usd, other.cost_usd)
        return Estimate(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            None if None in costs else sum(costs),
            self.source or other.source,
        )

    def __str__(self) -> str:
        if not self.calls:
            return "no calls of a model"
        calls = f"{self.calls:,} call{'' if self.calls == 1 else 's'}"
        tokens = f"about {_tokens(self.input_tokens)} + {_tokens(self.output_tokens)} tokens"
        cost = "price unknown" if self.cost_usd is None else f"about {_dollars(self.cost_usd)} USD"
        return f"{calls}, {tokens}, {cost} ({self.source})"


def estimate(
    work: Work,
    model: str,
    price: Price | None,
    tokens_per_call: float,
    tokens_per_character: float,
    tokens_written: float,
) -> Estimate:
    """What the work will take: input tokens per call and per character of its prompt, and output
    tokens per call, unless the work knows better."""
    repeated = max(work.calls_per_draft or 1.0, 1.0)
    calls = round(work.calls * repeated)
    if work.input_tokens_per_character is None:
        read = work.calls * tokens_per_call + work.characters * tokens_per_character
    else:
        read = work.characters * work.input_tokens_per_character
    written = work.output_tokens_per_call
    tokens = (
        round(read * repeated),
        round(calls * (tokens_written if written is None else written)),
    )
    if price is None:
        return Estimate(calls, *tokens, None, model)
    return Estimate(calls, *tokens, price.cost(*tokens), f"{model}, prices of {price.as_of}")


def _tokens(count: int) -> str:
    return f"{count / 1e6:,.2f} M" if count >= 100_000 else f"{count:,}"


def _dollars(cost: float) -> str:
    return f"{cost:,.2f}" if cost >= 0.1 or cost == 0 else f"{cost:.2g}"


class BudgetExceeded(PersonaError):
    """The next call could cost more than is left."""


class Budget:
    """How much may still be spent, in USD; None: no limit. Safe to use from several threads."""

    def __init__(self, limit: float | None = None, spent: float = 0.0) -> None:
        self.limit = limit
        self._spent = spent
        self._held = 0.0
        self._calls = 0
        self._changed = threading.Condition()

    @property
    def spent(self) -> float:
        return self._spent

    @property
    def left(self) -> float:
        """What a further call may cost at most, USD."""
        return math.inf if self.limit is None else self.limit - self._taken

    def reserve(self, worst_case_usd: float) -> None:
        """Set aside what a call can cost at most; `settle` must follow, whatever it brings.

        While it would not fit beside the calls under way, waits for one of them. Raises
        BudgetExceeded when none is under way and it could still exceed the limit.
        """
        with self._changed:
            while self.limit is not None and self._taken + worst_case_usd > self.limit:
                if not self._calls:
                    raise BudgetExceeded(self._explain(worst_case_usd))
                self._changed.wait()
            self._held += worst_case_usd
            self._calls += 1

    def settle(self, reserved: float, actual: float) -> None:
        """Give back a reservation, and note what the call did cost."""
        with self._changed:
            self._calls -= 1
            # With no call under way nothing is held, whatever the rounding left.
            self._held = self._held - reserved if self._calls else 0.0
            self._spent += actual
            self._changed.notify_all()

    @property
    def _taken(self) -> float:
        return self._spent + self._held

    def _explain(self, worst_case_usd: float) -> str:
        spent = f"{self._spent:,.4f} USD are spent" if self._spent else "nothing is spent"
        again = "Run again, or with a higher PERSONA_BUDGET_USD, to go on from there."
        return (
            f"PERSONA_BUDGET_USD is {self.limit:g}: {spent}, and the next call could cost "
            f"{worst_case_usd:,.4f} with its retries. What is written is kept. "
            f"{again if self._spent else 'Set a higher PERSONA_BUDGET_USD.'}"
        )
