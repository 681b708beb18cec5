"""The e-mails: drafts for the prompts that have none, then the partition from the drafts."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pyarrow as pa
from pydantic import Field

from persona_assets import schemas
from persona_assets.assets.drafting import BATCH, Desk
from persona_assets.assets.tables import (
    OWNERS,
    PAPERS,
    data_version,
    described,
    materialized,
    version_of,
)
from persona_assets.copywriting.gates import Gates
from persona_assets.copywriting.journal import Journal
from persona_assets.copywriting.message import Sender, assemble
from persona_assets.copywriting.money import Budget, Estimate, Work
from persona_assets.copywriting.offline import OfflineWriter
from persona_assets.copywriting.unsubscribe import make_tokens, unsubscribe_link
from persona_assets.copywriting.writer import ATTEMPTS, Writer
from persona_assets.failures import asset
from persona_assets.languages import LANGUAGES
from persona_assets.lineage import column_sources
from persona_assets.partitions import LANGUAGE_PARTITIONS, Languages
from persona_assets.settings import Settings
from persona_assets.text import as_markdown, as_quote
from persona_assets.warehouse import Warehouse, read_query

GROUP = "emails"
# Runs with the same value of one of these tags share a budget: those of one backfill in the
# Dagster UI, and those of one `persona run`.
TOGETHER = ("dagster/backfill", "persona/run")
# Columns of final_prompts that no e-mail depends on.
_UNREAD = {"as_of", "segment_label", "designation"}
_SHOWN = 3
_REMEMBERED = 50_000
_ALL = "~"  # sorts after every audience_hash
_WRITTEN = {"subject", "preheader", "body"}
_MERGED = ("user_id", "lifecycle", "first_name", "subject", "body")


class EmailsConfig(dg.Config):
    """Who is written to."""

    customers: int | None = Field(
        default=None,
        ge=1,
        description="At most so many e-mails, 1 or more, over all of `languages`, picked by hash; "
        "unset: every customer with an address.",
    )
    languages: Languages = Field(
        default=[*LANGUAGES], description="The languages that `customers` is counted over."
    )


@asset(
    name="prompts_by_language",
    description="The prompts of one language, and what writing them would take. Its data version "
    "is what they say, so that a language whose prompts have not changed stays fresh.",
    deps=["final_prompts"],
    partitions_def=LANGUAGE_PARTITIONS,
    group_name=GROUP,
    owners=OWNERS[GROUP],
    kinds={"sql"},
    code_version=read_query("pending_work").version,
)
def prompts_by_language(
    context: dg.AssetExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    writer: dg.ResourceParam[Writer],
) -> dg.MaterializeResult:
    language = {"language": context.partition_key}
    _need_drafts(warehouse)
    estimate = estimate_work(warehouse, writer, language.values(), _ALL)
    with warehouse.ibis_table("final_prompts") as table:
        prompts = int(table.filter(table.language == context.partition_key).count().execute())
    return dg.MaterializeResult(
        data_version=data_version(
            warehouse, schemas.final_prompts, PAPERS | _UNREAD, where=language
        ),
        metadata={
            "dagster/partition_row_count": prompts,
            "estimate": str(estimate),
            "estimated_calls": estimate.calls,
            **({} if estimate.cost_usd is None else {"estimated_cost_usd": estimate.cost_usd}),
        },
    )


@asset(
    **described(
        schemas.emails,
        GROUP,
        query="emails",
        code_version=version_of("copywriting/message.py", "copywriting/phrases/*.toml"),
    )
    | {"deps": ["prompts_by_language"]},  # each language goes by its own prompts
    partitions_def=LANGUAGE_PARTITIONS,
    pool="emails",
)
def emails(
    context: dg.AssetExecutionContext,
    config: EmailsConfig,
    settings: dg.ResourceParam[Settings],
    warehouse: dg.ResourceParam[Warehouse],
    writer: dg.ResourceParam[Writer],
) -> dg.MaterializeResult:
    language, run_id = context.partition_key, context.run.run_id
    fallback = (OfflineWriter(),) if settings.refused == "offline" else ()
    writers = {one.name: one for one in (writer, *fallback)}
    wanted = {"language": language, "cutoff": audience_cutoff(warehouse, config)}
    _need_drafts(warehouse)
    estimate = estimate_work(warehouse, writer, [language], wanted["cutoff"])
    context.log.info(f"{language}: {estimate}")
    gates = _gates(warehouse, writer, language)
    budget = Budget(settings.budget_usd, _spent(context, warehouse))
    with Journal.open(settings.home / "drafts" / language, settings.lock_seconds) as journal:
        desk = Desk(
            warehouse, journal, gates, budget, wanted, run_id, context.log.info, estimate.calls
        )
        # What a run that was killed had paid for comes first.
        written, before = desk.save(), ()
        for one in writers.values():
            written += desk.write(one, before)
            before += (one.name,)
    receipt = _publish(warehouse, settings, wanted, writer.name, [*writers], run_id)

    parameters = {**wanted, "writer": writer.name, "run_id": run_id}
    (work,) = warehouse.read(read_query("email_work"), parameters).to_pylist()
    refused = warehouse.read(read_query("refused_drafts"), parameters).to_pylist()
    counts = warehouse.read(read_query("report/email_counts"), {}).to_pylist()
    sample = warehouse.read(
        read_query("report/newest_emails"), {**wanted, "emails": _SHOWN}
    ).to_pylist()
    return materialized(
        warehouse,
        schemas.emails,
        receipt,
        lineage=_lineage(),
        where={"language": language},
        extra={
            "dagster/row_count": sum(row["emails"] for row in counts),
            "dagster/partition_row_count": receipt.rows,
            "writer": writer.name,
            "estimate": str(estimate),
            "drafts_written": written,
            "refused_by_gate": dg.MetadataValue.md(as_markdown(refused)),
            **{f"refused/{row['gate']}": row["drafts"] for row in refused},
            **{name: value for name, value in work.items() if name != "customers"},
            "emails": dg.MetadataValue.md(_quoted(sample)),
        },
    )


def _need_drafts(warehouse: Warehouse) -> None:
    warehouse.append("drafts", schemas.arrow_schema(schemas.drafts), [])


def audience_cutoff(warehouse: Warehouse, config: EmailsConfig) -> str:
    """The audience_hash up to which customers are written to."""
    if config.customers is None:
        return _ALL
    found = warehouse.read(read_query("audience_cutoff"), config.model_dump())
    return found["cutoff"][0].as_py() or ""


def estimate_work(
    warehouse: Warehouse, writer: Writer, languages: Iterable[str], cutoff: str
) -> Estimate:
    """What the prompts of the languages without an accepted draft will take, all together."""
    parameters = {
        "languages": [*languages],
        "cutoff": cutoff,
        "writer": writer.name,
        "attempts": ATTEMPTS,
    }
    rows = warehouse.read(read_query("pending_work"), parameters).to_pylist()
    return sum((writer.estimate(Work(**row)) for row in rows), Estimate())


def _gates(warehouse: Warehouse, writer: Writer, language: str) -> Gates:
    labels = warehouse.read(read_query("segment_labels"), {})["segment_label"].to_pylist()
    catalogue = warehouse.read(read_query("product_names"), {})["name"].to_pylist()
    if isinstance(writer, OfflineWriter):  # whose templates repeat by design
        return Gates(labels, catalogue, near_duplicates=False)
    gates = Gates(labels, catalogue)
    accepted = {"writer": writer.name, "language": language, "drafts": _REMEMBERED}
    for texts in warehouse.stream(read_query("accepted_texts"), accepted, BATCH):
        gates.remember("\n".join(row.values()) for row in texts.to_pylist())
    return gates


def _spent(context: dg.AssetExecutionContext, warehouse: Warehouse) -> float:
    """What this run and those that share its budget have spent, USD."""
    runs = {context.run.run_id}
    for tag in TOGETHER:
        if value := context.run.tags.get(tag):
            beside = context.instance.get_runs(dg.RunsFilter(tags={tag: value}))
            runs |= {run.run_id for run in beside}
    found = warehouse.read(read_query("spent"), {"run_ids": sorted(runs)})
    return found["cost_usd"][0].as_py()


def _publish(
    warehouse: Warehouse,
    settings: Settings,
    wanted: Mapping[str, Any],
    writer: str,
    writers: list[str],
    run_id: str,
):
    """Replace the partition with the e-mails of its accepted drafts."""
    sender = Sender.from_settings(settings)
    tokens = make_tokens(settings)

    def merge(
        user_id: int, lifecycle: str, first_name: str | None, subject: str, body: str
    ) -> str:
        return assemble(
            language=wanted["language"],
            lifecycle=lifecycle,
            first_name=first_name,
            subject=subject,
            body=body,
            sender=sender,
            unsubscribe_link=unsubscribe_link(settings.unsubscribe_url, tokens.token(user_id)),
        )

    papers = {"run_id": run_id, "written_at": datetime.now(UTC)}

    def merged(rows: pa.RecordBatch) -> pa.RecordBatch:
        made = {name: [value] * rows.num_rows for name, value in papers.items()}
        texts = map(merge, *(rows[name].to_pylist() for name in _MERGED))
        made["marketing_email"] = [*texts]
        return pa.record_batch(
            [
                pa.array(made[one.name], one.type)
                if one.name in made
                else rows[one.name].cast(one.type)
                for one in _EMAILS
            ],
            schema=_EMAILS,
        )

    drafted = {**wanted, "writer": writer, "writers": writers}
    return warehouse.replace(
        "emails",
        _EMAILS,
        map(merged, warehouse.stream(read_query("emails"), drafted, BATCH)),
        where={"language": wanted["language"]},
        # A customer whose language changed leaves the former partition in the same step.
        key="user_id",
    )


def _lineage() -> dict[str, list[tuple[str, str]]]:
    """Drafts are written from the prompt, and the message is merged from draft and name."""
    sources = column_sources("emails")
    sources |= {column: [("final_prompts", "prompt")] for column in _WRITTEN}
    sources["marketing_email"] = sorted({*sources["body"], *sources["first_name"]})
    kept = {column: parts for column, parts in sources.items() if column in _EMAILS.names}
    return {c: [s for s in parts if s[0] != "drafts"] for c, parts in kept.items()}


def _quoted(rows: list[dict]) -> str:
    if not rows:
        return "No e-mail in this language."
    return "\n\n---\n\n".join(
        f"**Customer {row['user_id']}**\n\n"
        + as_quote(f"{row['subject']}\n\n{row['marketing_email']}")
        for row in rows
    )


_EMAILS = schemas.arrow_schema(schemas.emails)
