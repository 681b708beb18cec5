"""The shop's five tables: where they come from, and what is refused before anything is written.

A source is a folder of Parquet or CSV. Without one, the sample shop is generated into the home
and read the same way. On BigQuery it is a dataset, which stays where it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from persona_assets import sample
from persona_assets.errors import InputError
from persona_assets.schemas import SOURCES, Table, arrow_schema, columns, key
from persona_assets.settings import Settings
from persona_assets.suppression import suppression_file
from persona_assets.text import mask
from persona_assets.warehouse import Receipt

CONSENT = "marketing_consent"
SOURCE_STATE = "source_state"  # in the metadata of what was loaded
_ROWS = 100_000  # read at a time
_ENDINGS = ("parquet", "csv", "csv.gz")
_TYPES = {"int64": "BIGINT", "float64": "DOUBLE", "string": "VARCHAR", "boolean": "BOOLEAN"}
_ACCEPTED = {
    "BIGINT": ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER",
               "UBIGINT", "HUGEINT", "DOUBLE", "FLOAT", "DECIMAL", "VARCHAR"),
    "DOUBLE": ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER",
               "UBIGINT", "HUGEINT", "DOUBLE", "FLOAT", "DECIMAL", "VARCHAR"),
    "VARCHAR": ("VARCHAR", "ENUM"),
    "BOOLEAN": ("BOOLEAN", "VARCHAR", "TINYINT", "INTEGER", "BIGINT"),
    "TIMESTAMPTZ": ("TIMESTAMP", "DATE", "VARCHAR"),
}  # fmt: skip


@dataclass(frozen=True)
class SourceTable:
    """One table of the source: its name, its file, and the SELECT that gives it our types."""

    name: str
    file: Path
    select: str


def check_source(settings: Settings, warehouse: Any) -> None:
    """Raise InputError, one line per problem, unless the source has all that is needed."""
    if settings.warehouse == "bigquery":
        needed = {model.__name__: arrow_schema(model) for model in SOURCES}
        if not settings.consent:
            users = needed["users"]
            needed["users"] = users.remove(users.get_field_index(CONSENT))
        warehouse.inspect_source(needed)
    else:
        inspect_source(source_folder(settings), settings.consent)


def load_into_bigquery(settings: Settings, warehouse: Any, folder: Path) -> Iterator[Receipt]:
    """Replace the five tables of PERSONA_BIGQUERY_SOURCE by those of the folder, one at a time.

    Raises InputError for a source that is not ours to write to, or tables that are refused; then
    nothing was written.
    """
    if settings.bigquery_source.startswith("bigquery-public-data."):
        raise InputError(
            f"{settings.bigquery_source} is Google's: set PERSONA_BIGQUERY_SOURCE to a dataset of "
            "your own first."
        )
    tables = inspect_source(folder, settings.consent)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table, model in zip(tables, SOURCES, strict=True):
            schema = arrow_schema(model)
            rows = connection.execute(table.select).to_arrow_reader(_ROWS)
            batches = (pa.Table.from_batches([batch]).cast(schema).to_batches() for batch in rows)
            yield warehouse.load_source(table.name, schema, chain.from_iterable(batches))


def source_folder(settings: Settings) -> Path:
    """The folder with the five tables; generates the sample shop where none is set.

    Raises InputError when the folder is not there.
    """
    if settings.source is not None:
        if not settings.source.is_dir():
            raise InputError(
                f"The source {settings.source} is not a folder: set PERSONA_SOURCE (or --source) "
                "to a folder with users, orders, order_items, products and events as Parquet or "
                "CSV."
            )
        return settings.source
    folder = _sample(settings)
    if not folder.is_dir():
        sample.write(folder, customers=settings.sample_customers, seed=settings.sample_seed)
    return folder


def _sample(settings: Settings) -> Path:
    return settings.home / f"sample-{settings.sample_customers}-{settings.sample_seed}"


def source_state(settings: Settings, warehouse: Any) -> dict[str, str]:
    """What tells, without reading it, that a source has changed: the state of each table, and of
    the suppression list's file, if there is one. A sample shop that is not made yet has none.

    Raises InputError when the source or one of its tables is not there.
    """
    listed = suppression_file(settings)
    try:
        if settings.warehouse == "bigquery":
            observed = warehouse.observe([model.__name__ for model in SOURCES])
            states = {name: table_state(s.rows, s.modified) for name, s in observed.items()}
        else:
            states = {name: file_state(file) for name, file in _files(settings).items()}
        return states | ({"suppression_list": file_state(listed)} if listed else {})
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read: {error.strerror}.") from None


def _files(settings: Settings) -> dict[str, Path]:
    folder = _sample(settings) if settings.source is None else source_folder(settings)
    if not folder.is_dir():
        return {}
    files = {model.__name__: _file(folder, model.__name__) for model in SOURCES}
    if absent := [name for name, file in files.items() if file is None]:
        raise InputError("\n".join(_absent(folder, name) for name in absent))
    return files


def table_state(rows: int, modified: datetime) -> str:
    """Rows and moment of the last change."""
    return f"{rows} {modified.isoformat()}"


def file_state(file: Path) -> str:
    """Name, size in bytes and moment of change in nanoseconds; of a file alone, no content."""
    found = file.stat()
    return f"{file.name} {found.st_size} {found.st_mtime_ns}"


class SourceRefused(InputError):
    """A folder that cannot be loaded. problems: by table, a line for each."""

    def __init__(self, problems: dict[str, list[str]]) -> None:
        super().__init__("\n".join(chain.from_iterable(problems.values())))
        self.problems = problems


def inspect_source(folder: Path, consent: bool = False) -> list[SourceTable]:
    """Read every table of the folder through once and give back how to load it.

    consent: whether users must have a column marketing_consent; otherwise it is left NULL.
    Raises SourceRefused, one line per problem, naming file, table and column: a table, a column or
    its values missing; a type that cannot be read; a key twice; an empty table.
    """
    problems: dict[str, list[str]] = {}
    tables = []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for model in SOURCES:
            found: list[str] = []
            table = _inspect(connection, folder, model, consent, found)
            if table is not None:
                tables.append(table)
            if found:
                problems[model.__name__] = found
    if problems:
        raise SourceRefused(problems)
    return tables


def _inspect(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    model: type[Table],
    consent: bool,
    problems: list[str],
) -> SourceTable | None:
    name = model.__name__
    file = _file(folder, name)
    if file is None:
        problems.append(_absent(folder, name))
        return None
    path = str(file).replace("'", "''")
    try:
        if file.suffix == ".parquet":
            scan = f"read_parquet('{path}')"
        else:
            scan = _csv(connection, path, model)
        described = connection.execute(f"DESCRIBE FROM {scan}").fetchall()
    except duckdb.Error as error:
        kind = "Parquet" if file.suffix == ".parquet" else "CSV"
        problems.append(f"{file}: table {name} is not readable as {kind}: {_reason(error)}")
        return None
    found = {row[0]: row[1] for row in described}
    before = len(problems)
    selected, tests = [], []
    for column, spec in columns(model).items():
        wanted = _TYPES.get(str(spec.dtype), "TIMESTAMPTZ")
        if column == CONSENT and not consent:
            selected.append(f"CAST(NULL AS BOOLEAN) AS {column}")
            continue
        if column not in found:
            problems.append(f"{file}: table {name} has no column {column}.")
            continue
        accepted = found[column].startswith(_ACCEPTED[wanted]) and not found[column].endswith("[]")
        if not accepted and not (spec.nullable and _is_empty(connection, scan, column)):
            problems.append(
                f"{file}: table {name}, column {column} is {found[column]}; "
                f"it must be {_spoken(wanted)}."
            )
            continue
        quoted = '"' + column + '"'
        cast = f"TRY_CAST({quoted} AS {wanted})"
        unreadable = f"({quoted} IS NOT NULL AND {cast} IS NULL)"
        if wanted == "BIGINT" and not found[column].endswith("INT"):
            unreadable = (
                f"({quoted} IS NOT NULL AND ({cast} IS NULL "
                f"OR TRY_CAST({quoted} AS DOUBLE) % 1 <> 0))"
            )
        elif wanted == "DOUBLE":
            unreadable = f"({quoted} IS NOT NULL AND NOT COALESCE(ISFINITE({cast}), FALSE))"
        elif wanted == "TIMESTAMPTZ":  # DuckDB also has infinity, and years that Python has not
            unreadable = (
                f"({quoted} IS NOT NULL AND "
                f"NOT COALESCE({cast} BETWEEN '0001-01-01' AND '9999-12-31', FALSE))"
            )
        selected.append(f"{cast} AS {quoted}")
        tests.append((column, wanted, unreadable, not spec.nullable, quoted))
    if len(problems) > before:
        return None
    select = f"SELECT {', '.join(selected)} FROM {scan}"
    _test_values(connection, name, file, scan, select, tests, key(model), problems)
    return SourceTable(name, file, select)


def _file(folder: Path, name: str) -> Path | None:
    named = (folder / f"{name}.{ending}" for ending in _ENDINGS)
    return next((file for file in named if file.is_file()), None)


def _absent(folder: Path, name: str) -> str:
    return f"{folder}: table {name} is missing: no {name}.parquet or {name}.csv."


def _csv(connection: duckdb.DuckDBPyConnection, path: str, model: type[Table]) -> str:
    """The scan of a CSV with quotes as in RFC 4180, every column as text, "" as NULL.

    Only the separator is found out, from the header: what DuckDB guesses from the first rows is
    wrong for a file whose quotes begin further down.
    """
    line = connection.execute(
        f"FROM read_csv('{path}', auto_detect = false, header = false, delim = '\x01', "
        "quote = '', escape = '', strict_mode = false, columns = {'line': 'VARCHAR'}) LIMIT 1"
    ).fetchone()
    header = line[0] if line and line[0] else ""
    separator = max(",;\t|", key=header.count)
    wanted = set(columns(model))
    names = []
    for place, given in enumerate(header.split(separator)):
        name = given.strip().strip('"')
        names.append(name if name in wanted else f"column{place}")
        wanted.discard(name)
    types = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    return (
        f"read_csv('{path}', auto_detect = false, header = true, delim = '{separator}', "
        f"quote = '\"', escape = '\"', nullstr = '', columns = {{{types}}})"
    )


def _reason(error: duckdb.Error) -> str:
    """DuckDB's first line, and for a CSV the last before its advice: between them is the row."""
    first, *rest = [line for line in str(error).split("\nPossible")[0].splitlines() if line]
    return mask(f"{first}: {rest[-1]}" if rest and "CSV Error" in first else first)


def _is_empty(connection: duckdb.DuckDBPyConnection, scan: str, column: str) -> bool:
    """Whether a column holds no value at all; pandas writes such a one in a type of its own."""
    return connection.execute(f'SELECT COUNT("{column}") FROM {scan}').fetchone() == (0,)


def _test_values(connection, name, file, scan, select, tests, keys, problems) -> None:
    """Append what is wrong with the values of one table, in one pass over it, and with its key."""
    measures = ["COUNT(*)"]
    for _, _, unreadable, _, quoted in tests:
        measures += [
            f"COUNT(*) FILTER ({unreadable})",
            f"FIRST(CAST({quoted} AS VARCHAR)) FILTER ({unreadable})",
            f"COUNT(*) FILTER ({quoted} IS NULL)",
        ]
    try:
        rows, *figures = connection.execute(
            f"SELECT {', '.join(measures)} FROM {scan}"
        ).fetchone()
    except duckdb.Error as error:
        problems.append(f"{file}: table {name} is not readable: {_reason(error)}")
        return
    if rows == 0:
        problems.append(f"{file}: table {name} is empty.")
        return
    for index, (column, wanted, _, required, _) in enumerate(tests):
        bad, example, absent = figures[3 * index : 3 * index + 3]
        if bad:
            shown = mask(example)
            shown = shown if len(shown) <= 40 else shown[:39] + "…"
            problems.append(
                f"{file}: table {name}, column {column}: {bad:,} of {rows:,} values are not "
                f"{_spoken(wanted)}, such as {shown!r}."
            )
        if absent and required:
            problems.append(
                f"{file}: table {name}, column {column}: {absent:,} of {rows:,} values are "
                "missing."
            )
    # Compared as they will be loaded: the texts '1' and '01' are one number.
    quoted = ", ".join(f'"{column}"' for column in keys)
    twice, example = connection.execute(
        f"SELECT COUNT(*), MIN({quoted}) FROM (SELECT {quoted} FROM ({select}) "
        f"WHERE {quoted} IS NOT NULL GROUP BY {quoted} HAVING COUNT(*) > 1)"
    ).fetchone()
    if twice:
        problems.append(
            f"{file}: table {name}, column {', '.join(keys)}: {twice:,} value(s) more than once, "
            f"such as {example}."
        )


def _spoken(wanted: str) -> str:
    return {
        "BIGINT": "whole numbers",
        "DOUBLE": "numbers",
        "VARCHAR": "text",
        "TIMESTAMPTZ": "dates or timestamps",
        "BOOLEAN": "true or false",
    }[wanted]
