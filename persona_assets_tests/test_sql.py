"""The files below sql/: what every one of them keeps to, and that they are the only SQL."""

import ast
import re
from datetime import date
from pathlib import Path

import duckdb
import pytest
import sqlglot
from sqlglot import TokenType, exp

import persona_assets
from persona_assets import schemas
from persona_assets.checks import CLAIMS, WARNINGS
from persona_assets.warehouse import Query, read_query
from persona_assets.warehouse.base import OUR_DATASET, SOURCE_DATASET
from persona_assets.warehouse.googlesql import SQL_FOLDER

PACKAGE = Path(persona_assets.__file__).parent
ALL = {
    file.relative_to(SQL_FOLDER).with_suffix("").as_posix() for file in SQL_FOLDER.rglob("*.sql")
}
# They have a model of BigQuery's answer, which no other engine can.
GENERATED = sorted(name for name in ALL if name.startswith("generate/"))
# Statements that set BigQuery up; they read nothing, and DuckDB has no use for them.
SETUP = {"setup/remote_model"}
SELECTS = sorted(ALL - SETUP)
NAMES = sorted({*SELECTS} - {*GENERATED})
MODELS = schemas.Table.__subclasses__()
SOURCES = {model.__name__ for model in schemas.SOURCES}
# They talk to DuckDB about files.
ABOUT_FILES = {"warehouse/duckdb.py", "source.py", "doctor.py"}

# What a run would answer differently tomorrow, or differently each time.
NOT_REPEATABLE = {
    "CURRENT_DATE", "CURRENT_DATETIME", "CURRENT_TIME", "CURRENT_TIMESTAMP", "GENERATE_UUID",
    "RAND", "SESSION_USER", "TABLESAMPLE",
}  # fmt: skip
# What sqlglot writes for DuckDB with another meaning, or DuckDB does not know.
NOT_PORTABLE = {
    "DATE_ADD", "DATE_SUB", "DATE_TRUNC", "DAYOFWEEK", "FARM_FINGERPRINT", "FORMAT", "ISOWEEK",
    "SAFE", "SAFE_SUBTRACT", "TIMESTAMP_DIFF", "WEEK",
}  # fmt: skip
PARAMETERS = {
    "active_months": 6.0,
    "as_of": date(2024, 12, 31),
    "attempts": 3,
    "customers": 10,
    "cutoff": "~",
    "drafts": 10,
    "emails": 3,
    "excluded_statuses": ["Cancelled"],
    "holdout_cutoff": "00000000",
    "language": "en",
    "languages": ["en"],
    "lapsed_months": 12.0,
    "loyal_orders": 3,
    "model": [{"segment": "seg_1", "centre": [0.0] * 3}, {"segment": "seg_2", "centre": [1.0] * 3}],
    "moved_share": 0.1,
    "new_months": 3.0,
    "recent_months": 6.0,
    "repeat_orders": 1.5,
    "rows": 5,
    "run_id": "run",
    "run_ids": ["run"],
    "salt": "salt",
    "segmentation_run": "run",
    "user_ids": [1],
    "weights": [1.0] * 3,
    "who": "ana@example.org",
    "writer": "offline",
    "writers": ["offline"],
}

every_file = pytest.mark.parametrize("name", SELECTS)
every_portable_file = pytest.mark.parametrize("name", NAMES)


def words(query: Query) -> set[str]:
    """The words of a query in capitals, without those in comments and texts."""
    return {
        token.text.upper()
        for token in sqlglot.tokenize(query.text, read="bigquery")
        if token.token_type not in (TokenType.STRING, TokenType.RAW_STRING)
    }


@pytest.fixture(scope="module")
def tables():
    """A database with every table, each without rows."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE SCHEMA {OUR_DATASET}; CREATE SCHEMA {SOURCE_DATASET}")
        for model in MODELS:
            name = model.__name__
            dataset = SOURCE_DATASET if name in SOURCES else OUR_DATASET
            connection.register("empty", schemas.arrow_schema(model).empty_table())
            connection.execute(f"CREATE TABLE {dataset}.{name} AS FROM empty")
        yield connection


def run(connection: duckdb.DuckDBPyConnection, query: Query):
    return connection.execute(*query.to_duckdb(PARAMETERS)).to_arrow_table()


def test_there_are_files_to_look_at():
    assert {"parametric", "final_prompts", "checks/every_customer_gets_one_email"} <= {*NAMES}


@every_file
def test_a_file_is_one_select(name):
    statements = sqlglot.parse(read_query(name).text, read="bigquery")
    assert [type(statement) for statement in statements] == [exp.Select]


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_file_starts_with_a_comment_that_says_what_it_is(name):
    assert re.match(r"-- [A-Z@].*\n(-- .*\n)*[^-]", read_query(name).text)


@every_file
def test_a_file_reads_the_two_datasets_and_their_known_tables_only(name):
    query = read_query(name)
    ours = {model.__name__ for model in MODELS} - SOURCES
    known = {(SOURCE_DATASET, table) for table in SOURCES} | {(OUR_DATASET, t) for t in ours}
    if name in GENERATED:
        known = {(OUR_DATASET, "asked"), (OUR_DATASET, "final_prompts")}
    assert query.tables() <= known
    assert query.tables() or name == "generate/segment_label"
    within = {cte.alias for cte in query.tree.find_all(exp.CTE)}
    unqualified = {table.name for table in query.tree.find_all(exp.Table) if not table.db}
    assert unqualified <= within
    assert not any(table.catalog for table in query.tree.find_all(exp.Table))


@every_file
def test_a_query_answers_the_same_tomorrow(name):
    assert not words(read_query(name)) & NOT_REPEATABLE


@every_portable_file
def test_a_query_means_the_same_in_both_dialects(name):
    query = read_query(name)
    assert not words(query) & NOT_PORTABLE
    for aggregate in query.tree.find_all(exp.ArrayAgg, exp.GroupConcat):
        assert not aggregate.find(exp.Limit)


@every_portable_file
def test_duckdb_runs_the_transpiled_query(name, tables):
    query = read_query(name)
    query.tree.sql("duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE)
    assert run(tables, query).column_names == query.tree.named_selects or query.tree.is_star


@pytest.mark.parametrize(
    "model",
    [schemas.parametric, schemas.customer_segments, schemas.final_prompts],
    ids=lambda model: model.__name__,
)
def test_a_query_that_makes_a_table_gives_its_columns_and_types(model, tables):
    made = run(tables, read_query(model.__name__)).schema
    wanted = schemas.arrow_schema(model)
    assert dict(zip(made.names, made.types, strict=True)) == dict(
        zip(wanted.names, wanted.types, strict=True)
    )


@pytest.mark.parametrize(
    ("text", "caught"),
    [
        ("SELECT CURRENT_DATE()", NOT_REPEATABLE),
        ("SELECT current_timestamp", NOT_REPEATABLE),
        ("SELECT id FROM t WHERE RAND() < 0.1", NOT_REPEATABLE),
        ("SELECT SAFE.SUBSTR(a, 1) FROM t", NOT_PORTABLE),
        ("SELECT EXTRACT(DAYOFWEEK FROM d) FROM t", NOT_PORTABLE),
    ],
)
def test_the_words_that_are_looked_for_are_found(text, caught):
    assert words(Query("test", text, sqlglot.parse_one(text, read="bigquery"))) & caught


def test_words_in_comments_and_texts_are_not_looked_at():
    text = "-- RAND\nSELECT 'CURRENT_DATE', r'FORMAT' FROM t /* WEEK */"
    query = Query("test", text, sqlglot.parse_one(text, read="bigquery"))
    assert not words(query) & (NOT_REPEATABLE | NOT_PORTABLE)


# The Python code


def texts(file: Path) -> set[str]:
    """The strings of a file that are not docstrings, f-strings with … for their values."""
    nodes = [*ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    found = set()
    for node in nodes:
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            found.add(str(node.value))
        elif isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
            found.add("".join(map(str, parts)))
    return found


def test_sql_is_in_sql_files_only_and_where_duckdb_is_asked_about_files():
    select = re.compile(r"\bselect\b.*\bfrom\b", re.IGNORECASE | re.DOTALL)
    found = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        if any(select.search(text) for text in texts(file))
    }
    assert {"warehouse/duckdb.py", "source.py"} <= found
    assert found - ABOUT_FILES == set()


def test_every_file_is_read_by_the_code():
    code = [*PACKAGE.rglob("*.py")]
    read = {f"checks/{claim}" for claim in CLAIMS | WARNINGS}
    for file in code:
        read |= {text for text in texts(file) if "/" in text}
        read |= {*re.findall(r'read_query\(\s*"([^"]+)"', file.read_text(encoding="utf-8"))}
    assert ALL - read == set()
