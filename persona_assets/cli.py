"""The command `persona`: run, estimate, trace, export, unsubscribe, doctor, bigquery, dev."""

import json
import os
import shutil
import sys
from dataclasses import asdict
from datetime import UTC, date, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from persona_assets.errors import PersonaError
from persona_assets.languages import LANGUAGES
from persona_assets.settings import Settings, load_settings, prepare_home


def _readable(command: Any) -> Any:
    """Errors for the reader: one message on standard error and the exit code, no traceback."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except PersonaError as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("Stopped. What was saved stays; run again to go on.", err=True)
            sys.exit(130)

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="persona_assets")
def main() -> None:
    """One marketing e-mail per customer, from the shop's own warehouse, and why it says that."""


def _what_to_run(command: Any) -> Any:
    """The options that say what a run works on; the command gets settings, languages, customers."""

    @click.option("--source", type=click.Path(path_type=Path), help="Folder with the five tables "
                  "as Parquet or CSV; without it, the sample shop.")  # fmt: skip
    @click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Day that the customers are "
                  "described on; without it, the day of the newest order.")  # fmt: skip
    @click.option("--customers", type=click.IntRange(min=1), help="At most so many e-mails; "
                  "everyone is segmented all the same.")  # fmt: skip
    @click.option("--language", "languages", type=click.Choice([*LANGUAGES]), multiple=True,
                  help="Write in this language only; may be repeated.")  # fmt: skip
    @click.option("--writer", type=click.Choice(["offline", "chat", "bigquery"]),
                  help="Who writes.")  # fmt: skip
    @click.option("--json", "as_json", is_flag=True, help="End with one JSON object.")
    @wraps(command)
    def run(source, as_of, customers, languages, writer, as_json) -> None:
        day = as_of.date() if as_of else None
        settings = load_settings(source=source, as_of=day, writer=writer)
        chosen = [language for language in LANGUAGES if not languages or language in languages]
        command(settings, chosen, customers, as_json)

    return run


@main.command()
@_readable
@_what_to_run
def run(settings: Settings, languages: list[str], customers: int | None, as_json: bool) -> None:
    """Materialize the whole graph: tables, segments, e-mails, pages."""
    from persona_assets import run as job

    summary = job.run(settings, languages, customers)
    click.echo(job.as_text(summary), err=as_json)
    if as_json:
        click.echo(json.dumps(asdict(summary), ensure_ascii=False))


@main.command()
@_readable
@_what_to_run
def estimate(
    settings: Settings, languages: list[str], customers: int | None, as_json: bool
) -> None:
    """What the e-mails would take: calls, tokens, dollars. Materializes everything up to the
    prompts, and spends nothing."""
    from persona_assets import run as job

    found = job.estimate(settings, languages, customers)
    click.echo(f"To write: {found}", err=as_json)
    if as_json:
        click.echo(json.dumps(asdict(found)))


@main.command()
@click.argument("who")
@click.option("--json", "as_json", is_flag=True, help="One JSON array with a trace per customer.")
@_readable
def trace(who: str, as_json: bool) -> None:
    """Why a customer got this e-mail. WHO is a user id or an address."""
    from persona_assets import trace as tracing
    from persona_assets.definitions import build_defs

    settings = load_settings()
    warehouse = build_defs(settings).resources["warehouse"]
    found = tracing.trace(warehouse, tracing.find_customers(warehouse, who), settings)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, default=_plain))
    else:
        click.echo(f"\n\n{'=' * 72}\n\n".join(tracing.as_text(one) for one in found))


@main.command()
@click.option("--format", "format_name", required=True, help="Of the files.",
              type=click.Choice(["eml", "jsonl", "csv", "listmonk", "ses"]))  # fmt: skip
@click.option("--language", "languages", type=click.Choice([*LANGUAGES]), multiple=True,
              help="Export this language only; may be repeated.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="Folder that the files go to; "
              "without it, exports in the home.")  # fmt: skip
@click.option("--template-id", type=click.IntRange(min=1), help="Number of listmonk's "
              "transactional template.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="End with the summary as one JSON object.")
@_readable
def export(format_name, languages, out, template_id, as_json) -> None:
    """Write the e-mails as files to send, one set per language."""
    from persona_assets.definitions import build_defs
    from persona_assets.export import job

    settings = load_settings()
    summary = job.export(
        build_defs(settings).resources["warehouse"],
        settings,
        format_name,
        [language for language in LANGUAGES if not languages or language in languages],
        out or settings.home / "exports",
        datetime.now(UTC),
        lambda text: click.echo(text, err=True),
        template_id,
    )
    if summary.examples:
        click.echo(
            f"WARNING: {', '.join(summary.examples)} still at the example's value. Do not send "
            "these e-mails: set the sender in .env, `persona run`, and export again.",
            err=True,
        )
    click.echo(job.as_text(summary), err=as_json)
    if as_json:
        click.echo(json.dumps(asdict(summary), ensure_ascii=False))


@main.command()
@click.argument("token")
@_readable
def unsubscribe(token: str) -> None:
    """Whose unsubscribe link has this TOKEN: the customer's id as JSON."""
    from persona_assets.copywriting.unsubscribe import load_tokens

    click.echo(json.dumps({"user_id": load_tokens(load_settings()).read_token(token)}))


@main.command()
@_readable
def doctor() -> None:
    """What is set, what is reachable, and what is missing."""
    from persona_assets.doctor import examine

    settings = load_settings()
    findings = examine(settings)
    for finding in findings:
        click.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what:<12} {finding.said}")
    if not all(finding.ok for finding in findings):
        sys.exit(1)


@main.group()
def bigquery() -> None:
    """What PERSONA_WAREHOUSE=bigquery needs."""


@bigquery.command()
@click.option("--source", type=click.Path(path_type=Path), help="Folder with the five tables as "
              "Parquet or CSV; without it, the sample shop.")  # fmt: skip
@_readable
def load(source: Path | None) -> None:
    """Replace the five tables of PERSONA_BIGQUERY_SOURCE by those of a folder."""
    from persona_assets.definitions import build_warehouse
    from persona_assets.source import load_into_bigquery, source_folder
    from persona_assets.suppression import suppression_file

    settings = load_settings(warehouse="bigquery")
    prepare_home(settings)
    folder = source_folder(settings.model_copy(update={"source": source}))
    for receipt in load_into_bigquery(settings, build_warehouse(settings), folder):
        click.echo(f"{receipt.rows:>12,}  {receipt.table}")
    listed = suppression_file(settings.model_copy(update={"source": folder}))
    if listed is not None and settings.suppression_list is None:
        click.echo(f"Set PERSONA_SUPPRESSION_LIST={listed}, or it does not count.", err=True)


@bigquery.command()
@click.option("--dry-run", is_flag=True, help="Print the commands and the SQL that would do it, "
              "and change nothing.")  # fmt: skip
@_readable
def setup(dry_run: bool) -> None:
    """Make what BigQuery needs to call PERSONA_MODEL, where it is missing: APIs, datasets, the
    connection, its role and the model. Run it again as often as you like."""
    from persona_assets.bigquery_setup import from_settings

    project = from_settings(
        load_settings(warehouse="bigquery"), lambda line: click.echo(line, err=True)
    )
    for line in project.plan() if dry_run else project.run():
        click.echo(line)


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@_readable
def dev(options: tuple[str, ...]) -> None:
    """Open the Dagster UI on the home. OPTIONS go to `dagster dev`, such as --port 3001."""
    from persona_assets import run as job

    settings = load_settings()
    prepare_home(settings)
    beside_python = str(Path(sys.executable).parent)
    program = shutil.which("dagster", path=beside_python) or shutil.which("dagster")
    if program is None:
        raise PersonaError("The command dagster is not installed: pip install dagster-webserver.")
    job.end_killed_runs(settings)
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home.resolve())
    os.environ["PERSONA_HOME"] = str(settings.home.resolve())
    command = [program, "dev", "-m", "persona_assets.definitions", *options]
    os.execv(program, command)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)

