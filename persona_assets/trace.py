"""The way of one e-mail back: draft, prompt, segment, the customer's own numbers and orders."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from persona_assets.copywriting.display import display_name
from persona_assets.errors import InputError
from persona_assets.segmentation import NUMBERS
from persona_assets.settings import Settings
from persona_assets.text import mask, printable
from persona_assets.warehouse import Warehouse, read_query

ORDERS = 5
EVENTS = 5
_NEEDED = (
    "suppression_list",
    "parametric",
    "centroids",
    "customer_segments",
    "segment_labels",
    "final_prompts",
    "drafts",
    "emails",
)
_FEATURE_NAMES = {
    "total_orders": "orders",
    "avg_basket": "average basket, USD",
    "total_revenue": "revenue, USD",
    "months_since_last_order": "months since the newest order",
    "freq_orders_per_month": "orders per month",
}


def find_customers(warehouse: Warehouse, who: str) -> list[int]:
    """The ids of the customers with this id or address.

    Raises InputError when there is none, or nothing has been materialized yet.
    """
    absent = [table for table in _NEEDED if not warehouse.exists(table)]
    if absent:
        raise InputError(
            f"There is no table {warehouse.address(absent[0])} yet: run `persona run` first."
        )
    found = warehouse.read(read_query("trace/find"), {"who": who.strip()})
    if not found.num_rows:
        raise InputError(
            f"No customer has the id or the address {who.strip()!r}: give a user_id of the table "
            "parametric, or an address as the customer gave it."
        )
    return found["user_id"].to_pylist()


def trace(warehouse: Warehouse, user_ids: Sequence[int], settings: Settings) -> list[dict]:
    """One trace per customer, in the order of their ids.

    Each has: customer (address masked), email (None without one, and then why_no_email says why),
    drafts (every attempt for the prompt, with what it was refused for and what it cost; the one
    that became the e-mail is marked `used`), prompt, segment, numbers (the customer's own beside
    the centroid's), orders (the newest ORDERS, with whether each counted) and events (the newest
    EVENTS).
    """
    if not user_ids:
        return []
    ids = list(user_ids)
    rows = warehouse.read(read_query("trace/customers"), {"user_ids": ids}).to_pylist()
    counted = {
        "as_of": rows[0]["as_of"] if rows else None,
        "excluded_statuses": list(settings.excluded_statuses),
    }
    orders = _by_customer(warehouse, "trace/orders", {"user_ids": ids, "rows": ORDERS, **counted})
    events = _by_customer(warehouse, "trace/events", {"user_ids": ids, "rows": EVENTS})
    drafts = _by_customer(warehouse, "trace/drafts", {"user_ids": ids})
    return [_trace(row, *(found[row["user_id"]] for found in (drafts, orders, events)))
            for row in rows]  # fmt: skip


def _by_customer(warehouse: Warehouse, query: str, parameters: dict) -> dict[int, list[dict]]:
    rows: dict[int, list[dict]] = defaultdict(list)
    for row in warehouse.read(read_query(query), parameters).to_pylist():
        rows[row.pop("user_id")].append(row)
    return rows


def _trace(
    row: dict[str, Any], drafts: list[dict], orders: list[dict], events: list[dict]
) -> dict[str, Any]:
    def part(prefix: str, *names: str) -> dict[str, Any]:
        return {name: row[prefix + name] for name in names}

    written = row["subject"] is not None
    return {
        "customer": part("", "user_id", "country", "language", "as_of")
        | {"first_name": display_name(row["first_name"])}
        | {"email": mask(row["email"]) if row["email"] else None},
        "email": part("", "subject", "preheader", "marketing_email")
        | part("email_", "run_id", "written_at")
        if written
        else None,
        "why_no_email": None if written else _why_not(row),
        "drafts": [
            draft
            | {"used": [draft["prompt_hash"], draft["writer"], draft["attempt"]]
               == [row["email_prompt_hash"], row["email_writer"], row["email_attempt"]]}
            for draft in drafts
        ],
        "prompt": part("", "lifecycle", "prompt_hash", "prompt") if row["prompt_hash"] else None,
        "segment": part(
            "", "segment", "segment_label", "designation", "method", "segmentation_run"
        ),
        "numbers": [
            {
                "number": _FEATURE_NAMES[feature],
                "customer": row[feature],
                "centroid": row[f"centroid_{feature}"],
            }
            for feature in NUMBERS
        ],
        "products": part("", "top_products_user", "top_products_country"),
        "orders": orders,
        "events": events,
    }  # fmt: skip


def _why_not(row: dict[str, Any]) -> str:
    if row["suppressed_for"]:
        since = f" since {row['suppressed_since']}" if row["suppressed_since"] else ""
        return f"The customer is on the suppression list{since}: {row['suppressed_for']}."
    if row["other_user_id"] is not None and not row["prompt_hash"]:
        return (
            f"Customer {row['other_user_id']} has the same address and ordered later; an address "
            "gets one e-mail."
        )
    if not row["prompt_hash"]:
        return "The customer has no usable address, so no prompt was made."
    if row["holdout"]:
        return "The customer is in the holdout: kept without an e-mail, to compare with."
    return (
        "The customer has a prompt and no e-mail: the language has not been materialized since, "
        "--customers left the customer out, or every draft was refused by the gates."
    )


def as_text(trace: dict[str, Any]) -> str:
    """A trace for a person to read at a terminal."""
    customer, email, prompt = trace["customer"], trace["email"], trace["prompt"]
    segment = trace["segment"]
    lines = [
        f"Customer {customer['user_id']}: {customer['first_name'] or 'no first name'}, "
        f"{customer['email'] or 'no address'}, {customer['country'] or 'no country'}",
        "",
    ]
    if email:
        lines += [
            f"E-mail in {customer['language']}, made {_moment(email['written_at'])} "
            f"by run {email['run_id']}",
            f"  Subject    {email['subject']}",
            f"  Preheader  {email['preheader']}",
            *(f"  | {line}" for line in email["marketing_email"].splitlines()),
        ]
    else:
        lines.append(f"No e-mail. {trace['why_no_email']}")
    if trace["drafts"]:
        lines += ["", "Drafts", *(line for d in trace["drafts"] for line in _draft_lines(d))]
    if prompt:
        lines += [
            "",
            f"Prompt {prompt['prompt_hash'][:12]} (lifecycle: {prompt['lifecycle']})",
            *(f"  | {line}" for line in prompt["prompt"].splitlines()),
        ]
    lines += [
        "",
        f"Segment {segment['segment']}: {segment['segment_label']} ({segment['method']})",
        f"  {segment['designation']}",
        f"  fitted by run {segment['segmentation_run']}"
        if segment["segmentation_run"]
        else "  by rule: customers without a kept order",
        "",
        f"{'Numbers on ' + str(customer['as_of']):<32}{'customer':>12}{'centroid':>12}",
        *(
            f"  {n['number']:<30}{_number(n['customer']):>12}{_number(n['centroid']):>12}"
            for n in trace["numbers"]
        ),
        "",
        f"Newest orders ({len(trace['orders'])})",
        *(
            f"  {_moment(o['created_at'])}  order {o['order_id']}  {o['status']}"
            f"{'' if o['counted'] else ' (not counted)'}  {_number(o['revenue'])} USD  "
            f"{o['products'] or 'no products'}"
            for o in trace["orders"]
        ),
        "",
        f"Newest events ({len(trace['events'])})",
        *(
            f"  {_moment(e['created_at'])}  event {e['id']}  {e['event_type']}"
            for e in trace["events"]
        ),
    ]
    return printable("\n".join(lines))


def _draft_lines(draft: dict[str, Any]) -> list[str]:
    return [
        f"  {'>' if draft['used'] else ' '} {_moment(draft['written_at'])}  attempt "
        f"{draft['attempt']} of {draft['writer']}: {draft['status']}, {draft['input_tokens']} + "
        f"{draft['output_tokens']} tokens, {draft['cost_usd']:.6f} USD, run {draft['run_id']}",
        *(f"      refused for {problem}" for problem in draft["problems"] or ()),
    ]


def _moment(value: Any) -> str:
    return f"{value:%Y-%m-%d %H:%M}" if value else "no date"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}".removesuffix(".00")
