"""What a writer is given (Brief) and what it hands back (Draft).

Neither holds the customer's name or address: names are merged after writing, by message.py.
"""

from dataclasses import dataclass
from datetime import date

LIFECYCLES = (
    "prospect",
    "new",
    "active",
    "loyal",
    "high_value",
    "slipping_away",
    "long_gone",
)


@dataclass(frozen=True, slots=True)
class Brief:
    """Everything that may influence one e-mail, and what its draft is held against.

    `prompt_hash` is hexadecimal, `lifecycle` is one of LIFECYCLES, `territory` is an ISO 3166
    alpha-2 code, `avg_basket` is in whole USD, `order_interval_months` is the usual time between
    orders, `last_order_month` is the first day of that month. Product names are untrusted text.
    `attempt` is the one to be made, from 1; `refused_for` are the problems of the one before.
    """

    prompt_hash: str
    prompt: str
    language: str
    lifecycle: str
    territory: str | None
    total_orders: int
    avg_basket: int | None
    order_interval_months: int | None
    last_order_month: date | None
    last_event: str | None
    top_products_user: tuple[str, ...]
    top_products_country: tuple[str, ...]
    attempt: int = 1
    refused_for: tuple[str, ...] = ()

    @property
    def products(self) -> tuple[str, ...]:
        """Every product name that the prompt offers."""
        return self.top_products_user + self.top_products_country


@dataclass(frozen=True, slots=True)
class Draft:
    """One attempt at an e-mail: its parts, how the model ended, what it cost.

    `body` is plain text, paragraphs separated by blank lines, without greeting, call to
    action, sign-off or footer; of an answer that has no such parts, it is the answer's text.
    `finish_reason` is 'stop', or whatever else the model says. `problems` are what the writer
    itself saw wrong; the gates add theirs. Each is "gate: detail".
    """

    prompt_hash: str
    writer: str
    attempt: int
    subject: str
    preheader: str
    body: str
    finish_reason: str = "stop"
    problems: tuple[str, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
