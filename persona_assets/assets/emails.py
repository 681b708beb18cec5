"""The e-mails: drafts for the prompts that have none, then the partition from the drafts."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime

import dagster as dg
import pyarrow as pa
from pydantic import Field

from persona_assets import schemas
from persona_assets.assets.tables import described, materialized
from persona_assets.copywriting.brief import Brief, Draft
from persona_assets.copywriting.gates import problems
from persona_assets.copywriting.message import Sender, assemble
from persona_assets.copywriting.unsubscribe import make_tokens, unsubscribe_link
from persona_assets.copywriting.writer import Writer
from persona_assets.languages import LANGUAGES
from persona_assets.lineage import column_sources
from persona_assets.partitions import LANGUAGE_PARTITIONS
from persona_assets.settings import Settings
from persona_assets.text import as_markdown, as_quote
from persona_assets.warehouse import Warehouse, read_query

GROUP = "emails"
BATCH = 5_000
_SHOWN = 3
_ALL = "~"  # sorts after every audience_hash
_WRITTEN = {"subject", "preheader", "body"}
_MERGED = {"marketing_email": {"body", "first_name"},
           "html": {"subject", "preheader", "body", "first_name"}}  # fmt: skip


class EmailsConfig(dg.Config):
    """Who is written to."""

    customers: int | None = Field(
        default=None,
        ge=1,
        description="At most so many e-mails over all of `languages`, picked by hash; "
        "unset: every customer with an address.",
    )
    languages: list[str] = Field(
        default=[*LANGUAGES], description="The languages that `customers` is counted over."
    )


@dg.asset(
    **described(schemas.emails, GROUP, query="emails", deps=["final_prompts"]),
    partitions_def=LANGUAGE_PARTITIONS,
)
def emails(
    context: dg.AssetExecutionContext,
    config: EmailsConfig,
    settings: dg.ResourceParam[Settings],
    warehouse: dg.ResourceParam[Warehouse],
    writer: dg.ResourceParam[Writer],
) -> dg.MaterializeResult:
    wanted = {
        "language": context.partition_key,
        "writer": writer.name,
        "cutoff": _cutoff(warehouse, config),
    }
    warehouse.append("drafts", _DRAFTS, [])
    written = 0
    for drafts in _batches(_write_drafts(warehouse, writer, wanted, context.run.run_id)):
        warehouse.append("drafts", _DRAFTS, [_batch(drafts, _DRAFTS)])
        written += len(drafts)
        context.log.info(f"{context.partition_key}: {written:,} drafts saved")

    sender = Sender(
        settings.shop_name, settings.shop_url, settings.postal_address, settings.logo_url
    )
    tokens = make_tokens(settings)

    def link(row: dict) -> str:
        return unsubscribe_link(settings.unsubscribe_url, tokens.token(row["user_id"]))

    papers = {"run_id": context.run.run_id, "written_at": datetime.now(UTC)}
    receipt = warehouse.replace(
        "emails",
        _EMAILS,
        (
            _batch([_email(row, sender, link(row)) | papers for row in rows.to_pylist()], _EMAILS)
            for rows in warehouse.stream(read_query("emails"), wanted, BATCH)
        ),
        where={"language": context.partition_key},
        # A customer whose language changed leaves the former partition in the same step.
        key="user_id",
    )
    refused = warehouse.read(read_query("refused_drafts"), wanted).to_pylist()
    counts = warehouse.read(read_query("report/email_counts"), {}).to_pylist()
    sample = warehouse.read(
        read_query("report/newest_emails"), {**wanted, "emails": _SHOWN}
    ).to_pylist()
    return materialized(
        warehouse,
        schemas.emails,
        receipt,
        lineage=_lineage(),
        extra={
            "dagster/row_count": sum(row["emails"] for row in counts),
            "dagster/partition_row_count": receipt.rows,
            "drafts_written": written,
            "refused": dg.MetadataValue.md(as_markdown(refused)),
            "left_out": sum(row["customers"] for row in refused),
            "emails": dg.MetadataValue.md(_quoted(sample)),
        },
    )


def _cutoff(warehouse: Warehouse, config: EmailsConfig) -> str:
    if config.customers is None:
        return _ALL
    found = warehouse.read(read_query("audience_cutoff"), config.model_dump())
    return found["cutoff"][0].as_py() or ""


def _write_drafts(
    warehouse: Warehouse, writer: Writer, wanted: dict[str, str], run_id: str
) -> Iterator[dict]:
    for rows in warehouse.stream(read_query("pending_prompts"), wanted, BATCH):
        prompts = {row["prompt_hash"]: row for row in rows.to_pylist()}
        for draft in writer.write(map(_brief, prompts.values())):
            gated = _gate(draft, prompts[draft.prompt_hash])
            yield asdict(gated) | {"run_id": run_id, "written_at": datetime.now(UTC)}


def _brief(row: dict) -> Brief:
    lists = {
        name: tuple(row[name] or ()) for name in ("top_products_user", "top_products_country")
    }
    return Brief(**{name: row[name] for name in Brief.__slots__ if name not in lists}, **lists)


def _gate(draft: Draft, prompt: dict) -> Draft:
    found = problems(
        draft.subject,
        draft.preheader,
        draft.body,
        segment_label=prompt["segment_label"],
        language=prompt["language"],
        products=tuple([*(prompt["top_products_user"] or ()),
                        *(prompt["top_products_country"] or ())]),
    )  # fmt: skip
    every = tuple(dict.fromkeys([*draft.problems, *found]))
    return replace(draft, problems=every, status="rejected" if every else "accepted")


def _email(row: dict, sender: Sender, link: str) -> dict:
    message = assemble(
        language=row["language"],
        lifecycle=row["lifecycle"],
        first_name=row["first_name"],
        subject=row["subject"],
        preheader=row["preheader"],
        body=row["body"],
        sender=sender,
        unsubscribe_link=link,
    )
    return row | {"marketing_email": message.text, "html": message.html}


def _lineage() -> dict[str, list[tuple[str, str]]]:
    """Drafts are written from the prompt, and the message is merged from draft and name."""
    sources = column_sources("emails")
    sources |= {column: [("final_prompts", "prompt")] for column in _WRITTEN}
    merged = {
        column: sorted({source for part in parts for source in sources[part]})
        for column, parts in _MERGED.items()
    }
    kept = {column: parts for column, parts in sources.items() if column in _EMAILS.names}
    kept = {c: [s for s in parts if s[0] != "drafts"] for c, parts in kept.items()}
    return kept | merged


def _quoted(rows: list[dict]) -> str:
    if not rows:
        return "No e-mail in this language."
    return "\n\n---\n\n".join(
        f"**Customer {row['user_id']}**\n\n"
        + as_quote(f"{row['subject']}\n\n{row['marketing_email']}")
        for row in rows
    )


def _batch(rows: Iterable[dict], schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), schema=schema)


def _batches(rows: Iterator[dict]) -> Iterator[list[dict]]:
    batch: list[dict] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


_DRAFTS = schemas.arrow_schema(schemas.drafts)
_EMAILS = schemas.arrow_schema(schemas.emails)
