"""The export as an op, for the Dagster UI."""

from datetime import UTC, datetime
from enum import Enum

import dagster as dg
from pydantic import Field

from persona_assets.failures import bounded, told
from persona_assets.languages import LANGUAGES
from persona_assets.partitions import Languages
from persona_assets.settings import Settings
from persona_assets.warehouse import Warehouse

from . import job
from .formats import FORMATS

Format = Enum("Format", {name: name for name in FORMATS})


class ExportConfig(dg.Config):
    """Which files."""

    format: Format = Field(
        Format["eml"],
        description="eml: a message each; jsonl: an object per line; csv: for mail platforms; "
        "listmonk: subscribers and transactional mails; ses: requests for Amazon SES.",
    )
    languages: Languages = Field([*LANGUAGES], description="The languages to export.")
    template_id: int | None = Field(
        None, ge=1, description="Number of listmonk's transactional template, for listmonk."
    )


@bounded
@dg.op
@told
def export_emails(
    context: dg.OpExecutionContext,
    config: ExportConfig,
    settings: dg.ResourceParam[Settings],
    warehouse: dg.ResourceParam[Warehouse],
) -> None:
    summary = job.export(
        warehouse,
        settings,
        config.format.value,
        config.languages,
        settings.home / "exports",
        datetime.now(UTC),
        context.log.info,
        config.template_id,
    )
    context.add_output_metadata({"exported": job.as_text(summary)})
