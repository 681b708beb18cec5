"""Progress of a run for a person at a terminal: one line per step, on standard error."""

import logging
import sys
from collections.abc import Mapping
from typing import Any

import dagster as dg

from persona_assets.text import printable


class Progress(logging.Handler):
    """What assets say while they work, what each made, and which checks failed."""

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", {})
        event = meta.get("dagster_event")
        if event is None:
            if record.levelno >= logging.INFO and meta.get("step_key"):
                show(f"  {meta['orig_message']}")
        elif event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
            show(_made(event.step_materialization_data.materialization))
        elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed:
                show(_failed(check))


@dg.logger(config_schema={}, description="One line per step on standard error.")
def progress_logger(context: dg.InitLoggerContext) -> logging.Logger:
    """The logger that `persona run` selects; runs in the Dagster UI keep Dagster's own."""
    logger = logging.Logger("persona.progress", logging.DEBUG)
    logger.addHandler(Progress())
    return logger


def _made(materialization: dg.AssetMaterialization) -> str:
    name = materialization.asset_key.to_user_string()
    if materialization.partition:
        name += f"[{materialization.partition}]"
    metadata = materialization.metadata
    rows = metadata.get("dagster/partition_row_count", metadata.get("dagster/row_count"))
    seconds = metadata.get("query_seconds")
    made = f"{rows.value:>10,} rows" if rows else ""
    return f"{name:<24}{made:<17}" + (f"{seconds.value:>7.2f} s" if seconds else "")


def _failed(check: Any) -> str:
    lines = [f"{_severity(check)} {check.asset_key.to_user_string()}: {check.check_name}"]
    lines += [f"  {check.description}"] if check.description else []
    metadata: Mapping[str, dg.MetadataValue] = check.metadata
    for value in metadata.values():
        if isinstance(value, dg.MarkdownMetadataValue):
            lines += [f"  {line}" for line in value.value.splitlines()]
    return "\n".join(lines)


def _severity(check: Any) -> str:
    return "CHECK FAILED" if check.severity is dg.AssetCheckSeverity.ERROR else "CHECK WARNS"


def show(text: str) -> None:
    """A line on standard error, without what a terminal would obey."""
    print(printable(text), file=sys.stderr, flush=True)
