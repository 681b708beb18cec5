"""Every file below sql/ in Google's own analyzer, and the same rows from every engine."""

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from persona_assets import schemas
from persona_assets.copywriting.bigquery_writer import ANSWERS
from persona_assets.languages import countries
from persona_assets.warehouse import DuckDBWarehouse, Query, Warehouse, read_query
from persona_assets_tests.conftest import moment
from persona_assets_tests.emulator import PROJECT, make_warehouse
from persona_assets_tests.googlesql import MODELS, SOURCES, Json, Refused, analyze, evaluate
from persona_assets_tests.test_sql import GENERATED, NAMES, PARAMETERS, SELECTS

pytestmark = pytest.mark.googlesql

every_file = pytest.mark.parametrize("name", NAMES)
MADE = {"parametric", "customer_segments", "final_prompts", "previous_segments"}
MODEL = {
    "weights": [2.0, 0.5, 1.0],
    "model": [
        {"segment": "seg_3", "centre": [1.5, 1.0, 2.0]},
        {"segment": "seg_1", "centre": [3.0, 2.5, 0.5]},
        {"segment": "seg_2", "centre": [2.0, 1.5, 4.0]},
        {"segment": "seg_6", "centre": [1.5, 1.0, 2.0]},  # as near as seg_3
        {"segment": "seg_5", "centre": [1.25, 7.0, 0.0]},
    ],
}
GENERATION = {
    "connection": "project.us.persona",
    "endpoint": "gemini-2.5-flash",
    "instructions": "Write an e-mail.",
    "max_output_tokens": 1_000,
    "model_params": Json(generation_config={"temperature": 0.7}),
    "prompt": "Name this segment.",
    "prompts": 100,
    "temperature": 0.7,
}
VALUES = PARAMETERS | MODEL | GENERATION


def query(text: str) -> Query:
    return Query("test", text, sqlglot.parse_one(text, read="bigquery"))


def values_of(asked: Query) -> dict[str, Any]:
    return {name: VALUES[name] for name in asked.parameters()}


@pytest.fixture(scope="module")
def sent() -> Any:
    """A warehouse that is only asked what it would send."""
    return make_warehouse("persona", f"{PROJECT}.thelook_ecommerce", layouts=True)


# Types


@pytest.mark.parametrize("name", SELECTS)
def test_a_file_type_checks_as_it_is_written_and_as_it_is_sent(name, sent):
    asked = read_query(name)
    as_written = analyze(asked.text, values_of(asked))
    assert as_written and analyze(sent.text(asked), values_of(asked)) == as_written


@pytest.mark.parametrize("name", sorted(MADE))
def test_a_query_that_makes_a_table_gives_the_columns_and_types_of_its_model(name, sent):
    wanted = {
        field.name: _googlesql_type(field.type)
        for field in schemas.arrow_schema(getattr(schemas, name))
    }
    asked = read_query(name)
    assert analyze(asked.text, values_of(asked)) == wanted
    analyze(sent.statement(name, asked), values_of(asked))  # CREATE OR REPLACE TABLE AS


def _googlesql_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"ARRAY<{_googlesql_type(kind.value_type)}>"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP"
    names = {pa.int64(): "INT64", pa.float64(): "FLOAT64", pa.string(): "STRING",
             pa.bool_(): "BOOL", pa.date32(): "DATE"}  # fmt: skip
    return names[kind]


@pytest.mark.parametrize(
    ("name", "right", "wrong", "said"),
    [
        ("parametric", "u.id AS user_id", "u.idd AS user_id", "idd"),
        ("parametric", "SUM(COALESCE(sale_price, 0))", "SUM(COALESCE(sale_price, ''))", "COALESCE"),
        ("parametric", "GROUP BY user_id, product", "GROUP BY user_id", "product"),
        ("parametric", "FROM thelook_ecommerce.orders", "FROM thelook_ecommerce.order", "order"),
        ("parametric", "REGEXP_REPLACE(name,", "REGEX_REPLACE(name,", "REGEX_REPLACE"),
        ("final_prompts", "p.total_orders >= @loyal_orders", "p.email >= @loyal_orders", ">="),
        ("customer_segments", "total_orders > 0 AS is_buyer", "total_orders AS is_buyer", "IF"),
        ("customer_segments", "c.centre", "c.center", "center"),
        ("emails", "d.subject,", "d.subjekt,", "subjekt"),
        ("generate/emails", "preheader STRING, body", "preheder STRING, body", "preheader"),
        ("generate/emails", "(full_response)", "(full_respons)", "full_respons"),
        ("generate/emails", "(full_response)", "(prompt, status, body)", "TO_JSON_STRING"),
        ("generate/emails", "  subject,\n", "  SUM(subject) AS subject,\n", "SUM"),
        ("generate/emails", "AS temperature", "AS heat", "option: heat"),
        ("generate/emails", "AS temperature", "AS model_params", "option: model_params"),
        ("generate/emails", "TABLE persona.asked", "TABLE persona.askd", "askd"),
        ("generate/emails_as_text", "ml_generate_text_status", "status", "status"),
        ("generate/emails_as_text", "text_result)", "text_llm_result)", "llm_result"),
        ("generate/segment_label", "answer.tone", "answer.mood", "mood"),
        ("generate/segment_label", "'label STRING", "'labels STRING", "label"),
        ("generate/segment_label", "endpoint =>", "model =>", "option: model"),
        ("generate/prompt_tokens", ").result", ").tokens", "tokens"),
        ("generate/prompt_tokens", "endpoint =>", "model =>", "model"),
        ("generate/prompt_tokens", ").result AS", ") AS", "SUM"),
    ],
)
def test_a_file_that_is_broken_is_caught(name, right, wrong, said):
    text = read_query(name).text
    assert right in text
    with pytest.raises(Refused, match=said):
        analyze(text.replace(right, wrong), values_of(read_query(name)))


@pytest.mark.parametrize("name", [name for name in GENERATED if "emails" in name])
def test_what_a_model_is_asked_for_comes_back_in_the_columns_that_are_read(name):
    asked = read_query(name)
    wanted = {field.name: _googlesql_type(field.type) for field in ANSWERS}
    assert analyze(asked.text, values_of(asked)) == wanted


def test_what_is_sent_to_a_model_has_its_options_as_constants(sent):
    for name in GENERATED:
        asked = read_query(name)
        given = {"instructions", "language", "prompt", "prompts"}
        settled = asked.settled({n: v for n, v in values_of(asked).items() if n not in given})
        text = sent.text(settled)
        assert settled.parameters() <= given and "PARSE_JSON" not in text
        assert analyze(text, values_of(settled)) == analyze(asked.text, values_of(asked))


def test_a_value_of_the_wrong_type_is_caught():
    with pytest.raises(Refused, match="<= "):
        analyze(read_query("parametric").text, {"as_of": 20241231, "excluded_statuses": ["x"]})


def test_a_type_that_is_not_the_models_is_seen():
    asked = read_query("customer_segments")
    changed = asked.text.replace(
        "  user_id,\n  IF(", "  CAST(user_id AS STRING) AS user_id,\n  IF("
    )
    assert analyze(changed, values_of(asked))["user_id"] == "STRING"


@pytest.mark.parametrize(
    "merge",
    [
        lambda sent, one, other, names: sent.exchange(one, other, names, "language", "user_id"),
        lambda sent, one, other, names: sent.exchange(one, other, names, "language", None),
        lambda sent, one, other, names: sent.add(one, other, names, ["user_id", "language"]),
        lambda sent, one, other, names: sent.add(one, other, names, []),
    ],
    ids=["partition and key", "partition", "append with key", "append"],
)
def test_the_statements_that_bring_staged_rows_in_type_check(merge):
    from persona_assets.warehouse import bigquery

    def table(name: str) -> exp.Table:
        return exp.table_(name, db="persona", catalog=PROJECT, quoted=True)

    # Any two tables with these columns will do.
    statement = merge(bigquery, table("emails"), table("final_prompts"), ["user_id", "language"])
    analyze(statement.sql("bigquery"), {"value": "en"})


def test_the_statement_that_makes_the_remote_model_type_checks(sent):
    statement = sent.remote_model("copywriter", (PROJECT, "us", "persona"), "it's")
    assert analyze(statement, {}) == {}
    with pytest.raises(Refused, match="Connection not found"):
        analyze(statement.replace("`us`", "`eu`"), {})


# Rows


def _users() -> list[dict[str, Any]]:
    given = [
        (1, "Ana", "ana@example.org", "Spain"),
        (2, "  ", None, "España"),
        (3, None, "twice@example.org ", "日本"),
        (4, "Ζωή", "Twice@Example.org", "Deutschland"),
        (5, "O'Hara <b>\n", "o\u00a0hara@example.org", "Narnia"),
        (6, "Ben", "no address", None),
        (7, "👕", "seven@example.org", "  "),
        (8, "Sun", "ü@例え.jp", "한국"),
        (9, "Li", "li@example.org", "CHINA"),
        (10, "Eve", "eve@example.org", "Brasil"),
    ]
    return [
        {"id": number, "first_name": name, "email": email, "country": country,
         "created_at": moment("2023-12-31T23:59:59") if number % 2 else None,
         "marketing_consent": (True, False, None)[number % 3]}
        for number, name, email, country in given
    ]  # fmt: skip


def _orders() -> list[dict[str, Any]]:
    given = [
        (1, 1, "Complete", "2024-01-31T23:59:59.999999"),
        (2, 1, "Shipped", "2024-02-29T00:00"),
        (3, 1, "Cancelled", "2024-12-30T00:00"),
        (4, 1, None, "2024-12-31T23:59:59"),
        (5, 3, "Complete", "2025-01-01T00:00"),
        (6, 4, "Complete", "2024-03-31T12:00"),
        (7, 4, "Complete", "2024-03-31T12:00"),
        (8, 5, "Processing", "2023-02-28T12:00"),
        (9, 8, "Complete", "2024-12-31T00:00"),
        (10, None, "Complete", "2024-05-05T00:00"),
        (11, 99, "Complete", "2024-05-05T00:00"),
        (12, 9, "Complete", "2020-02-29T10:00"),
        (13, 10, "Complete", "2024-10-31T10:00"),
        (14, 10, "Complete", "2024-11-30T10:00"),
        (15, 10, "Complete", "2024-12-31T10:00"),
    ]
    return [
        {"order_id": number, "user_id": user, "status": status, "created_at": moment(day)}
        for number, user, status, day in given
    ]


def _items() -> list[dict[str, Any]]:
    given = [
        (1, 1, 19.99), (1, 2, 0.1), (2, 2, 0.2), (2, 7, 0.3), (2, 5, 1e-7), (4, 6, 33.333333),
        (3, 1, 5.0), (5, 1, 7.0), (6, 5, 10.0), (6, 6, 10.0), (7, 7, 10.0), (7, 2, 10.0),
        (8, 3, 0.0), (8, None, None), (8, 77, 2.5), (9, 4, 1234567.89), (12, 1, 12.0),
        (None, 1, 3.0), (13, 1, 2.0), (14, 2, 4.0), (15, 2, 8.0), (11, 5, 9.0),
    ]  # fmt: skip
    return [
        {"id": place, "order_id": order, "product_id": product, "sale_price": price}
        for place, (order, product, price) in enumerate(given, start=1)
    ]


def _events() -> list[dict[str, Any]]:
    given = [
        (1, 1, "2024-06-01T12:00", "cart"), (1, 1, "2024-06-01T12:00", "purchase"),
        (1, 2, "2024-06-01T12:00", "cancel"), (2, None, "2024-06-01T12:00", None),
        (None, 1, "2024-06-01T12:00", "home"), (3, 1, "2025-06-01T12:00", "cart"),
        (4, 3, None, "cart"), (5, 1, "2024-12-31T23:59:59", "süß <x>@y"),
        (8, 2, "2024-02-29T12:00", "product"), (99, 1, "2024-01-01T00:00", "home"),
    ]  # fmt: skip
    return [
        {"id": place, "user_id": user, "sequence_number": step,
         "created_at": day and moment(day), "event_type": kind}
        for place, (user, step, day, kind) in enumerate(given, start=1)
    ]  # fmt: skip


PRODUCTS = ["Linen Shirt", "Änderung 漢字 👕", None, " ", " B", "C; D", "A\nB"]
SHOP: dict[str, list[dict[str, Any]]] = {
    "users": _users(),
    "orders": _orders(),
    "order_items": _items(),
    "products": [{"id": n, "name": name} for n, name in enumerate(PRODUCTS, start=1)],
    "events": _events(),
    "countries": [
        row for row in countries().to_pylist()
        if row["spelling"] in {"spain", "españa", "日本", "deutschland", "한국", "china", "brasil"}
    ],
    "suppression_list": [
        {"user_id": 10, "email": None, "reason": "unsubscribed", "since": date(2024, 2, 29)},
        {"user_id": None, "email": "nobody@example.org", "reason": "bounced", "since": None},
    ],
    "cluster_metrics": [
        {"k": k, "inertia": 10.5 / k, "silhouette": None, "calinski_harabasz": 1.5,
         "davies_bouldin": 0.5, "stability": None, "score": 0.5, "tied": k > 2, "chosen": k == 3}
        for k in (2, 3, 4)
    ],
    "centroids": [
        {column: 2 * place if kind == pa.int64() else place / 3 for column, kind in
         zip(schemas.arrow_schema(schemas.centroids).names,
             schemas.arrow_schema(schemas.centroids).types, strict=True)}
        | {"segment": f"seg_{place}", "segmentation_run": "run"}
        for place in range(1, 7)
    ],
    "segment_labels": [
        {"segment": segment, "segment_label": label, "designation": f"Those of {segment}",
         "method": "rules", "writer": "rules", "tone": None}
        for segment, label in [("seg_1", "Recent regulars"), ("seg_2", "recent regulars "),
                               ("seg_3", "Dormant VIP"), ("seg_4", "Low-value one-timers"),
                               ("seg_6", "New buyers"), ("prospects", "New customers")]
    ],
}  # fmt: skip


def _drafts(prompts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Accepted and refused drafts for most of the prompts, two of them for some."""
    rows = []
    for place, prompt in enumerate(prompts):
        for attempt in range(1, place % 3 + 2):
            fine = attempt == place % 3 + 1 and place % 4 != 3
            rows.append(
                {
                    "prompt_hash": prompt["prompt_hash"],
                    "writer": ("offline", "chat")[place % 2],
                    "attempt": attempt,
                    "language": prompt["language"],
                    "subject": f"Betreff 漢 {place}",
                    "preheader": "Vorschau",
                    "body": "Text\n\nMehr 👕",
                    "status": "accepted" if fine else "rejected",
                    "problems": [] if fine else ["too long: 60", "language"],
                    "input_tokens": 100 + place,
                    "output_tokens": 10 * attempt,
                    "cost_usd": 0.1 * attempt,
                    "run_id": "run",
                    "written_at": moment("2024-12-31T23:59:59"),
                }
            )
    return rows


def _emails(prompts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """E-mails for half of the prompts, some of them not as they should be."""
    rows = []
    for place, prompt in enumerate(prompts[::2]):
        kept = schemas.arrow_schema(schemas.emails).names
        rows.append(
            {name: prompt[name] for name in kept if name in prompt}
            | {
                "subject": "Betreff",
                "preheader": "Vorschau",
                "marketing_email": ("Hello, your shirt", "Sie und Ihre Bücher", "漢字だけひらがな")[
                    place % 3
                ],
                "writer": "offline",
                "attempt": 1,
                "run_id": "run",
                "written_at": moment("2024-12-31T23:59:59.123456"),
            }
        )
    return rows


def _fill(warehouse: Any, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    for model in MODELS:
        name, schema = model.__name__, schemas.arrow_schema(model)
        if name not in tables:
            continue
        batch = pa.RecordBatch.from_pylist([*tables[name]], schema=schema)
        if name not in SOURCES:
            warehouse.replace(name, schema, [batch])
        elif warehouse.kind == "bigquery":
            warehouse.load_source(name, schema, [batch])
        else:
            with warehouse.connect() as connection:
                connection.register("given", pa.Table.from_batches([batch]))
                connection.execute(f"CREATE TABLE thelook_ecommerce.{name} AS FROM given")


def _as_kept(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row as BigQuery keeps it: a list that is NULL is empty from then on. The emulator, which
    is DuckDB inside, does not do so."""
    lists = {name for model in MODELS for name, kind in _kinds(model) if pa.types.is_list(kind)}
    return {
        name: [] if name in lists and value is None else value for name, value in row.items()
    }


def _kinds(model: type[schemas.Table]) -> list[tuple[str, pa.DataType]]:
    return [(field.name, field.type) for field in schemas.arrow_schema(model)]


class Engines:
    """The same tables in DuckDB, on the emulator and in front of ZetaSQL's evaluator."""

    def __init__(self, duckdb: DuckDBWarehouse, bigquery: Any) -> None:
        self.duckdb, self.bigquery = duckdb, bigquery
        self.tables: dict[str, list[dict[str, Any]]] = {}

    def fill(self, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        for warehouse in (self.duckdb, self.bigquery):
            _fill(warehouse, tables)
        self.tables |= {name: [*map(_as_kept, rows)] for name, rows in tables.items()}

    def make(self, name: str) -> list[dict[str, Any]]:
        """Run the query that makes a table, and give every engine its rows."""
        rows = self.rows(self.duckdb, read_query(name))
        self.fill({name: rows})
        return rows

    def rows(self, warehouse: Warehouse, asked: Query) -> list[dict[str, Any]]:
        return warehouse.read(asked, values_of(asked)).to_pylist()

    def reference(self, asked: Query) -> list[dict[str, Any]]:
        return evaluate(asked, self.tables, values_of(asked))


@pytest.fixture(scope="module")
def engines(tmp_path_factory, emulator) -> Any:
    """Engines with a shop that is full of edge cases."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIGQUERY_EMULATOR_HOST", emulator)
        file = tmp_path_factory.mktemp("engines") / "warehouse.duckdb"
        made = Engines(DuckDBWarehouse(file), make_warehouse(layouts=True))
        made.fill(SHOP)
        made.make("parametric")
        segments = made.make("customer_segments")
        moved = [
            row | {"segment": "seg_1" if row["user_id"] % 3 else row["segment"]}
            for row in segments
        ]
        names = schemas.arrow_schema(schemas.previous_segments).names
        prompts = sorted(made.make("final_prompts"), key=lambda row: row["user_id"])
        made.fill(
            {
                "previous_segments": [{name: row[name] for name in names} for row in moved],
                "drafts": _drafts(prompts),
                "emails": _emails(prompts),
            }
        )
        yield made


@pytest.fixture(scope="module")
def empty_engines(tmp_path_factory, emulator) -> Any:
    """Engines whose tables have no rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIGQUERY_EMULATOR_HOST", emulator)
        file = tmp_path_factory.mktemp("engines") / "warehouse.duckdb"
        made = Engines(DuckDBWarehouse(file), make_warehouse())
        made.fill({model.__name__: [] for model in MODELS})
        yield made


def assert_same(asked: Query, found: list[dict], expected: list[dict]) -> None:
    """The same rows, in order where the query orders them. BigQuery has no NULL for a list, and
    the last digit of a sum depends on the order of the rows."""
    if not asked.tree.args.get("order"):
        found, expected = sorted(found, key=_sortable), sorted(expected, key=_sortable)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert list(one) == list(other)
        for name, value in one.items():
            assert _alike(value, other[name]), (name, value, other[name])


def _alike(value: Any, other: Any) -> bool:
    if isinstance(value, float) and isinstance(other, float):
        return math.isclose(value, other, rel_tol=1e-12, abs_tol=1e-12)
    return (value or None if isinstance(value, list) else value) == (
        other or None if isinstance(other, list) else other
    )


def _sortable(row: Mapping[str, Any]) -> str:
    return str({
        name: f"{value:.9g}" if isinstance(value, float) else value or None
        for name, value in row.items()
    })  # fmt: skip


@every_file
def test_every_engine_gives_the_same_rows(name, engines, emulated):
    asked = read_query(name)
    expected = engines.reference(asked)
    assert_same(asked, engines.rows(engines.duckdb, asked), expected)
    assert_same(asked, engines.rows(engines.bigquery, asked), expected)


@every_file
def test_every_engine_gives_the_same_rows_of_empty_tables(name, empty_engines, emulated):
    asked = read_query(name)
    expected = empty_engines.reference(asked)
    assert_same(asked, empty_engines.rows(empty_engines.duckdb, asked), expected)
    assert_same(asked, empty_engines.rows(empty_engines.bigquery, asked), expected)
