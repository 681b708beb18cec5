"""The suppression list: who must not be written to, read from a CSV or Parquet file."""

import csv
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from persona_assets.errors import InputError
from persona_assets.settings import Settings
from persona_assets.text import mask

_SHOWN = 5


def suppression_file(settings: Settings) -> Path | None:
    """The file that is set, or suppression_list.csv or .parquet in the source folder, if any.

    Raises InputError when the file that is set is not there.
    """
    if settings.suppression_list is not None:
        if not settings.suppression_list.is_file():
            raise InputError(
                f"The suppression list {settings.suppression_list} is not there: nobody is written "
                "to without it. Set PERSONA_SUPPRESSION_LIST to a CSV or Parquet file."
            )
        return settings.suppression_list
    beside = settings.source or Path()
    found = (beside / f"suppression_list.{ending}" for ending in ("parquet", "csv"))
    return next((file for file in found if settings.source and file.is_file()), None)


def read_suppression_list(file: Path) -> list[dict[str, Any]]:
    """Rows of the table suppression_list: user_id, email (trimmed, lower case), reason, since.

    The file has a column email or user_id, or both, and if wanted reason and date (YYYY-MM-DD).
    Raises InputError, naming file and rows, when it cannot be read or a row names nobody: a list
    that is half understood suppresses nobody safely.
    """
    try:
        given = list(_rows(file))
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise InputError(f"The suppression list {file} cannot be read: {error}.") from None
    if given and not {"email", "user_id"} & given[0].keys():
        raise InputError(
            f"The suppression list {file} has neither a column email nor a column user_id."
        )
    rows, problems = [], []
    for place, row in enumerate(given, 1):
        try:
            rows.append(_row(row))
        except ValueError as error:
            problems.append(f"row {place}: {error}")
    if problems:
        more = f" and {len(problems) - _SHOWN:,} more" if len(problems) > _SHOWN else ""
        raise InputError(
            f"The suppression list {file}: {'; '.join(problems[:_SHOWN])}{more}. Nobody is written "
            "to until each row names an email or a user_id."
        )
    return rows


def _rows(file: Path) -> Iterator[Mapping[str, Any]]:
    if file.suffix == ".parquet":
        yield from pq.read_table(file).to_pylist()
        return
    with file.open(newline="", encoding="utf-8-sig") as handle:
        head = handle.readline()
        handle.seek(0)
        reader = csv.DictReader(handle, delimiter=max(",;\t|", key=head.count))
        yield from ({(name or "").strip().lower(): v for name, v in row.items()} for row in reader)


def _row(given: Mapping[str, Any]) -> dict[str, Any]:
    email, user_id = _text(given.get("email")).lower(), _text(given.get("user_id"))
    if not email and not user_id:
        raise ValueError("neither email nor user_id")
    if user_id and not user_id.removesuffix(".0").isdecimal():
        raise ValueError(f"user_id {mask(user_id)[:40]!r} is no whole number")
    if email and "@" not in email:
        raise ValueError(f"email {email[:40]!r} is no address")
    return {
        "user_id": int(user_id.removesuffix(".0")) if user_id else None,
        "email": email or None,
        "reason": _text(given.get("reason")) or "not given",
        "since": _day(given.get("date")),
    }


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _day(value: Any) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = _text(value)
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        raise ValueError(f"date {text[:40]!r} is not YYYY-MM-DD") from None
