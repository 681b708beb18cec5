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
    """Everything that may influence one e-mail.

    `prompt_hash` is hexadecimal, `lifecycle` is one of LIFECYCLES, `territory` is an ISO 3166
    alpha-2 code, `last_order_month` is the first day of that month. Product names are
    untrusted text.
    """

    prompt_hash: str
    prompt: str
    language: str
    lifecycle: str
    territory: str | None
    total_orders: int
    last_order_month: date | None
    last_event: str | None
    top_products_user: tuple[str, ...]
    top_products_country: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """One attempt at an e-mail: its parts, whether the gates accepted it, what it cost.

    `body` is plain text, paragraphs separated by blank lines, without greeting, call to
    action, sign-off or footer. `status` is 'accepted' or 'rejected'; `problems` says why.
    """

    prompt_hash: str
    writer: str
    attempt: int
    subject: str
    preheader: str
    body: str
    status: str
    problems: tuple[str, ...]
    input_tokens: int
    output_tokens: int
    cost_usd: float
