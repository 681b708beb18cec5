"""The shop's tables: what is refused before anything is written, and what is merely unusual."""

import csv
import datetime
import gzip
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from persona_assets import run, schemas
from persona_assets.checks import schema_failures
from persona_assets.errors import InputError
from persona_assets.settings import load_settings
from persona_assets.source import SourceTable, inspect_source, source_folder
from persona_assets.warehouse import read_query

from .conftest import MINIMAL, moment

USER, ORDER, ITEM, PRODUCT, EVENT = (rows[0] for rows in MINIMAL.values())


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[[Path], list[str]]:
    """Run the job on a broken source: its lines, once it is sure that nothing was written."""

    def refuse(source: Path) -> list[str]:
        settings = load_settings(home=tmp_path / "home", source=source)
        before = _contents(source)
        with pytest.raises(InputError) as refused:
            run.run(settings, ["en"], None)
        assert _contents(source) == before
        assert not settings.warehouse_file.exists()
        assert list(settings.reports.iterdir()) == []
        assert [file.name for file in settings.dagster_home.iterdir()] == ["dagster.yaml"]
        return str(refused.value).split("\n")

    return refuse


def _contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("*")}


def _parquet(folder: Path, table: str, **columns: Any) -> Path:
    """Replace columns of a Parquet file; None leaves the column out."""
    file = folder / f"{table}.parquet"
    kept = pq.read_table(file)
    for name, values in columns.items():
        at = kept.schema.names.index(name)
        kept = kept.remove_column(at)
        if values is not None:
            kept = kept.add_column(at, name, pa.array(values))
    pq.write_table(kept, file)
    return file


def _text(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return "" if value is None else str(value)


def _to_csv(folder: Path, table: str, separator: str = ",", ending: str = "csv") -> Path:
    """Write the Parquet file's rows as CSV in its place."""
    file = folder / f"{table}.{ending}"
    rows = pq.read_table(folder / f"{table}.parquet").to_pylist()
    with (gzip.open if ending == "csv.gz" else open)(
        file, "wt", encoding="utf-8", newline=""
    ) as lines:
        writer = csv.writer(lines, delimiter=separator)
        writer.writerow(rows[0])
        writer.writerows([_text(value) for value in row.values()] for row in rows)
    (folder / f"{table}.parquet").unlink()
    return file


def _as_csv(folder: Path, table: str, *lines: str) -> Path:
    """A CSV with these lines in the place of the Parquet file."""
    (folder / f"{table}.parquet").unlink()
    file = folder / f"{table}.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _rows(tables: list[SourceTable]) -> dict[str, list[tuple]]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return {t.name: sorted(connection.execute(t.select).fetchall(), key=str) for t in tables}


# What is refused


def test_a_whole_source_is_accepted_table_by_table(make_source):
    source = make_source()
    assert [(t.name, t.file) for t in inspect_source(source)] == [
        (model.__name__, source / f"{model.__name__}.parquet") for model in schemas.SOURCES
    ]


def test_a_folder_that_is_not_there_is_named_with_the_setting(tmp_path):
    settings = load_settings(home=tmp_path / "home", source=tmp_path / "nowhere")
    with pytest.raises(InputError) as refused:
        run.run(settings, ["en"], None)
    assert re.fullmatch(
        rf"The source {tmp_path}/nowhere is not a folder: set PERSONA_SOURCE .*", str(refused.value)
    )
    assert not settings.warehouse_file.exists()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "users.parquet").touch()
    with pytest.raises(InputError, match="is not a folder"):
        source_folder(load_settings(source=tmp_path / "users.parquet"))


@pytest.mark.parametrize("table", [model.__name__ for model in schemas.SOURCES])
def test_a_missing_table_is_named(make_source, refusal, table):
    source = make_source()
    (source / f"{table}.parquet").unlink()
    assert refusal(source) == [
        f"{source}: table {table} is missing: no {table}.parquet or {table}.csv."
    ]


def test_a_missing_column_is_named(make_source, refusal):
    source = make_source()
    file = _parquet(source, "order_items", sale_price=None)
    assert refusal(source) == [f"{file}: table order_items has no column sale_price."]


@pytest.mark.parametrize(
    ("table", "column", "values", "said"),
    [
        ("products", "id", [True], "is BOOLEAN; it must be whole numbers."),
        ("products", "name", [5], "is BIGINT; it must be text."),
        ("products", "name", [["Shirt"]], "is VARCHAR[]; it must be text."),
        ("products", "name", [b"Shirt"], "is BLOB; it must be text."),
        ("order_items", "sale_price", [datetime.date(2024, 1, 1)], "is DATE; it must be numbers."),
        ("orders", "created_at", [1717243200], "is BIGINT; it must be dates or timestamps."),
    ],
)
def test_a_wrong_type_is_named(make_source, refusal, table, column, values, said):
    source = make_source()
    file = _parquet(source, table, **{column: values})
    assert refusal(source) == [f"{file}: table {table}, column {column} {said}"]


@pytest.mark.parametrize(
    ("table", "column", "value", "said"),
    [
        ("products", "id", "one", "whole numbers, such as 'one'."),
        ("products", "id", 1.5, "whole numbers, such as '1.5'."),
        ("products", "id", "9" * 20, f"whole numbers, such as '{'9' * 20}'."),
        ("users", "id", "ana@example.org", "whole numbers, such as 'a…@example.org'."),
        ("users", "id", "1\n2\x1b[31m", r"whole numbers, such as '1\n2\x1b[31m'."),
        ("users", "id", "x" * 50, f"whole numbers, such as '{'x' * 39}…'."),
        ("order_items", "sale_price", "12,50", "numbers, such as '12,50'."),
        ("order_items", "sale_price", float("nan"), "numbers, such as 'nan'."),
        ("order_items", "sale_price", float("inf"), "numbers, such as 'inf'."),
        ("orders", "created_at", "31/12/2024", "dates or timestamps, such as '31/12/2024'."),
        ("orders", "created_at", "2024-02-30", "dates or timestamps, such as '2024-02-30'."),
        ("orders", "created_at", "infinity", "dates or timestamps, such as 'infinity'."),
        ("orders", "created_at", "20240-06-01", "dates or timestamps, such as '20240-06-01'."),
        ("events", "created_at", "yesterday", "dates or timestamps, such as 'yesterday'."),
    ],
)
def test_a_value_that_cannot_be_read_is_shown(make_source, refusal, table, column, value, said):
    source = make_source()
    file = _parquet(source, table, **{column: [value]})
    assert refusal(source) == [
        f"{file}: table {table}, column {column}: 1 of 1 values are not {said}"
    ]


@pytest.mark.parametrize("key", [("users", "id"), ("orders", "order_id"), ("events", "id")])
def test_a_key_that_is_null_is_refused(make_source, refusal, key):
    table, column = key
    without = MINIMAL[table][0] | {column: None}
    source = make_source(**{table: [*MINIMAL[table], without, without]})
    assert refusal(source) == [
        f"{source}/{table}.parquet: table {table}, column {column}: 2 of 3 values are missing."
    ]


def test_an_order_without_a_date_is_refused(make_source, refusal):
    source = make_source(orders=[ORDER, ORDER | {"order_id": 2, "created_at": None}])
    assert refusal(source) == [
        f"{source}/orders.parquet: table orders, column created_at: 1 of 2 values are missing."
    ]


def test_a_key_that_stands_there_twice_is_refused(make_source, refusal):
    ids = [3, 5, 5, 5, 4, 3]
    source = make_source(products=[PRODUCT | {"id": i} for i in ids])
    assert refusal(source) == [
        f"{source}/products.parquet: table products, column id: 2 value(s) more than once, "
        "such as 3."
    ]


def test_keys_written_differently_and_loaded_as_the_same_number_are_refused(make_source, refusal):
    source = make_source()
    file = _as_csv(source, "products", "id,name", "7,Linen Shirt", "07,Wool Coat")
    assert refusal(source) == [
        f"{file}: table products, column id: 1 value(s) more than once, such as 7."
    ]


@pytest.mark.parametrize("table", [model.__name__ for model in schemas.SOURCES])
def test_an_empty_table_is_refused(make_source, refusal, table):
    source = make_source(**{table: []})
    assert refusal(source) == [f"{source}/{table}.parquet: table {table} is empty."]


def test_a_csv_with_nothing_but_its_header_is_empty(make_source, refusal):
    source = make_source()
    file = _as_csv(source, "products", "id,name")
    assert refusal(source) == [f"{file}: table products is empty."]


@pytest.mark.parametrize(
    "content", [b"", b"id,name\n1,Shirt\n", b"PAR1" + b"\0" * 64 + b"PAR1"],
    ids=["nothing", "a CSV", "a torn file"],
)  # fmt: skip
def test_a_file_that_is_not_parquet_is_refused(make_source, refusal, content):
    source = make_source()
    file = source / "products.parquet"
    file.write_bytes(content)
    (line,) = refusal(source)
    assert line.startswith(f"{file}: table products is not readable as Parquet: ")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["1,Shirt", "2"], "Line: 3: Expected Number of Columns: 2 Found: 1"),
        (["1,Shirt", "2,Coat,blue"], "Line: 3: Expected Number of Columns: 2 Found: 3"),
        (['1,"Shirt', "2,ana@example.org"], "Line: 2: Value with unterminated quote found."),
    ],
)
def test_a_csv_with_a_broken_row_is_refused_with_its_line(make_source, refusal, lines, said):
    source = make_source()
    file = _as_csv(source, "products", "id,name", *lines)
    (line,) = refusal(source)
    assert line.startswith(f"{file}: table products is not readable: ")
    assert line.endswith(said)


def test_a_csv_in_another_encoding_is_refused(make_source, refusal):
    source = make_source()
    file = _as_csv(source, "products", "id,name")
    file.write_bytes("id,name\n1,Crème Shirt\n".encode("latin-1"))
    (line,) = refusal(source)
    assert line.startswith(f"{file}: table products is not readable as CSV: ")
    assert "not utf-8" in line


def test_several_problems_are_reported_together_one_line_each(make_source, refusal):
    source = make_source(
        users=[USER, USER, USER | {"id": None}], events=[], products=[PRODUCT, PRODUCT]
    )
    (source / "orders.parquet").unlink()
    items = _parquet(source, "order_items", id=["x"], product_id=[1.5], sale_price=["cheap"])
    assert refusal(source) == [
        f"{source}/users.parquet: table users, column id: 1 of 3 values are missing.",
        f"{source}/users.parquet: table users, column id: 1 value(s) more than once, such as 1.",
        f"{source}: table orders is missing: no orders.parquet or orders.csv.",
        f"{items}: table order_items, column id: 1 of 1 values are not whole numbers, "
        "such as 'x'.",
        f"{items}: table order_items, column product_id: 1 of 1 values are not whole numbers, "
        "such as '1.5'.",
        f"{items}: table order_items, column sale_price: 1 of 1 values are not numbers, "
        "such as 'cheap'.",
        f"{source}/products.parquet: table products, column id: 1 value(s) more than once, "
        "such as 1.",
        f"{source}/events.parquet: table events is empty.",
    ]


# What is read


@pytest.fixture
def awkward(make_source) -> Path:
    """A source whose values have commas, quotes, line breaks and blanks in them."""
    return make_source(
        users=[
            USER,
            USER | {"id": 2, "first_name": 'Zoë "Zo", the 1st', "country": "Côte d'Ivoire"},
            USER | {"id": 3, "first_name": " 3;4|5\t6 ", "email": None, "created_at": None},
            USER | {"id": 4, "first_name": "美\r\nline\n", "country": None},
        ],
        order_items=[ITEM, ITEM | {"id": 2, "product_id": None, "sale_price": -0.1}],
        orders=[ORDER | {"created_at": moment("2024-12-31T23:59:59.000001")}],
    )


@pytest.mark.parametrize(
    ("separator", "ending"), [(",", "csv"), (";", "csv"), ("\t", "csv"), (",", "csv.gz")]
)
def test_a_csv_with_the_same_content_gives_the_same_rows(awkward, separator, ending):
    expected = _rows(inspect_source(awkward))
    assert len(expected["users"]) == 4
    for model in schemas.SOURCES:
        _to_csv(awkward, model.__name__, separator, ending)
    assert [file.suffix for file in awkward.glob("*.parquet")] == []
    assert _rows(inspect_source(awkward)) == expected


def test_a_csv_whose_first_quote_comes_late_gives_every_row(make_source):
    source = make_source()
    lines = [f"{i},Linen Shirt" for i in range(50_000)]
    _as_csv(source, "products", "id,name", *lines, '50000,"Shirt, blue"')
    rows = _rows(inspect_source(source))["products"]
    assert len(rows) == 50_001 and (50_000, "Shirt, blue") in rows


def test_a_csv_as_a_spreadsheet_saves_it_is_read(make_source):
    source = make_source()
    file = _as_csv(source, "products")
    file.write_bytes('\ufeff"id";note;"name"\r\n"1";"a;b";""\r\n2;;Coat\r\n'.encode())
    assert _rows(inspect_source(source))["products"] == [(1, None), (2, "Coat")]


@pytest.mark.parametrize(
    ("table", "column", "given", "loaded"),
    [
        ("products", "id", pa.array([1], pa.int8()), 1),
        ("products", "id", ["1"], 1),
        ("products", "id", [1.0], 1),
        ("products", "name", pa.array(["Shirt"]).dictionary_encode(), "Shirt"),
        ("order_items", "sale_price", [Decimal("12.50")], 12.5),
        ("order_items", "sale_price", ["12.50"], 12.5),
        ("orders", "created_at", [datetime.date(2024, 6, 1)], moment("2024-06-01T00:00")),
        ("orders", "created_at", [datetime.datetime(2024, 6, 1, 9)], moment("2024-06-01T09:00")),
        ("orders", "created_at", ["2024-06-01 12:30:00 UTC"], moment("2024-06-01T12:30")),
        ("orders", "created_at", ["2024-06-01T02:00:00+02:00"], moment("2024-06-01T00:00")),
    ],
)
def test_other_spellings_of_a_type_are_loaded_as_ours(make_source, table, column, given, loaded):
    source = make_source()
    _parquet(source, table, **{column: given})
    tables = inspect_source(source)
    at = list(schemas.columns(getattr(schemas, table))).index(column)
    assert _rows(tables)[table][0][at] == loaded


def test_columns_that_are_not_ours_are_ignored(make_source):
    source = make_source()
    expected = _rows(inspect_source(source))
    file = source / "users.parquet"
    pq.write_table(pq.read_table(file).append_column("password", pa.array(["secret"])), file)
    assert _rows(inspect_source(source)) == expected


# What is unusual and normal in shops

AS_OF = datetime.date(2024, 6, 30)
NO_ADDRESS = "customers without a usable address (no e-mail)"
SHARED = "customers who share an address with another"
UNNAMED = "customers without a first name"
NO_COUNTRY = "customers without a country (English)"
UNKNOWN_COUNTRY = "customers in an unknown country (English)"
OTHER_LANGUAGE = "customers in a country without one of the nine languages (English)"
RESPELLED = "customers whose country is spelled another way"


def _users(column: str, *values: Any) -> dict[str, list[dict]]:
    """One customer per value of the column, each otherwise usual, and one more."""
    usual = [USER | {"id": i, "email": f"u{i}@example.org"} for i in range(len(values) + 1)]
    odd = [user | {column: value} for user, value in zip(usual[1:], values, strict=True)]
    return {"users": usual[:1] + odd}


ODDITIES = {
    "nothing": ({}, []),
    "names": (_users("first_name", None, "", "   "), [(UNNAMED, 3, None)]),
    "no addresses": (
        _users("email", None, "", " ", "  ", "nobody", "two words@example.org", "@", "a@b@c"),
        [(NO_ADDRESS, 8, None)],
    ),
    "addresses twice": (
        _users("email", "a@example.org", " A@example.org", "b@example.org"),
        [(SHARED, 2, None)],
    ),
    "no country": (_users("country", None, "", "  "), [(NO_COUNTRY, 3, None)]),
    "unknown countries": (
        _users("country", "Narnia", "Atlantis", "Narnia "),
        [(UNKNOWN_COUNTRY, 3, "Atlantis, Narnia")],
    ),
    "countries of other languages": (
        _users("country", "Poland", "Italy", "Poland"),
        [(OTHER_LANGUAGE, 3, "Italy, Poland")],
    ),
    "several spellings": (
        _users("country", "España", "ES", " spain ", "SPAIN"),
        [(RESPELLED, 2, "ES, España")],
    ),
    "orders without items": (
        {"orders": [ORDER, ORDER | {"order_id": 2}, ORDER | {"order_id": 3}]},
        [("orders without items", 2, "2")],
    ),
    "orders of strangers": (
        {
            "orders": [ORDER, ORDER | {"order_id": 2, "user_id": 9},
                       ORDER | {"order_id": 3, "user_id": None}],
            "order_items": [ITEM | {"id": i, "order_id": i} for i in (1, 2, 3)],
        },
        [("orders of an unknown customer", 2, "2")],
    ),
    "items without products": (
        {"order_items": [ITEM, ITEM | {"id": 2, "product_id": 9},
                         ITEM | {"id": 3, "product_id": None}]},
        [("items without a product in the catalogue", 2, "2")],
    ),
    "products without names": (
        {"products": [PRODUCT, *({"id": i, "name": n} for i, n in ((2, None), (3, ""), (4, " ")))]},
        [("products without a name (left out)", 3, "2")],
    ),
    "anonymous events": (
        {"events": [EVENT, EVENT | {"id": 2, "user_id": None}]},
        [("events of anonymous visitors", 1, None)],
    ),
    "events of strangers": (
        {"events": [EVENT, EVENT | {"id": 2, "user_id": 9}, EVENT | {"id": 3, "user_id": 8}]},
        [("events of an unknown customer", 2, "2")],
    ),
}  # fmt: skip


@pytest.fixture
def describe(load_source):
    """Load tables and describe the customers: the warehouse, and its rows by customer."""

    def load(tables: dict[str, list[dict]]):
        warehouse = load_source(**tables)
        parameters = {"as_of": AS_OF, "excluded_statuses": ["Cancelled", "Returned"]}
        warehouse.create("parametric", read_query("parametric"), parameters)
        with warehouse.ibis_table("parametric") as table:
            rows = {row["user_id"]: row for row in table.to_pyarrow().to_pylist()}
        return warehouse, rows

    return load


@pytest.mark.parametrize("oddity", ODDITIES)
def test_an_oddity_is_counted_and_every_customer_still_has_one_good_row(describe, oddity):
    tables, expected = ODDITIES[oddity]
    warehouse, rows = describe(tables)
    counted = warehouse.read(read_query("oddities"), {}).to_pylist()
    assert [tuple(row.values()) for row in counted] == expected
    assert sorted(rows) == sorted(user["id"] for user in tables.get("users", [USER]))
    with warehouse.ibis_table("parametric") as table:
        assert schema_failures(schemas.parametric, table) == []


def test_oddities_of_several_kinds_are_counted_side_by_side(describe):
    warehouse, _ = describe(
        {
            "users": [USER, USER | {"id": 2, "first_name": None, "country": "Deutschland"}],
            "events": [EVENT, EVENT | {"id": 2, "user_id": None}],
        }
    )
    counted = warehouse.read(read_query("oddities"), {}).to_pylist()
    assert {row["oddity"]: row["amount"] for row in counted} == {
        SHARED: 2, UNNAMED: 1, RESPELLED: 1, "events of anonymous visitors": 1,
    }  # fmt: skip


def test_empty_names_and_addresses_become_none_and_blanks_around_them_go(describe):
    users = [
        USER | {"first_name": "  ", "email": ""},
        USER | {"id": 2, "first_name": " Ana ", "email": " ana@example.org "},
    ]
    _, rows = describe({"users": users})
    assert (rows[1]["first_name"], rows[1]["email"]) == (None, None)
    assert (rows[2]["first_name"], rows[2]["email"]) == ("Ana", "ana@example.org")


@pytest.mark.parametrize(
    ("spelling", "country", "language"),
    [
        ("España", "Spain", "es"),
        (" sPaIn ", "Spain", "es"),
        ("ES", "Spain", "es"),
        ("スペイン", "Spain", "es"),
        ("USA", "United States", "en"),
        ("Brasil", "Brazil", "pt"),
        ("Poland", "Poland", "en"),
        ("Narnia", "Narnia", "en"),
        ("", None, "en"),
        (None, None, "en"),
    ],
)
def test_a_country_in_any_spelling_decides_the_language(describe, spelling, country, language):
    _, rows = describe({"users": [USER | {"country": spelling}]})
    assert (rows[1]["country"], rows[1]["language"]) == (country, language)


def test_customers_of_a_country_in_several_spellings_share_its_popular_products(describe):
    _, rows = describe({"users": [USER, USER | {"id": 2, "country": "España"}]})
    assert rows[2]["top_products_country"] == ["Linen Shirt"]


def test_an_order_without_items_counts_as_an_order_without_revenue(describe):
    _, rows = describe({"orders": [ORDER, ORDER | {"order_id": 2}]})
    numbers = ("total_orders", "total_revenue", "avg_basket")
    assert [rows[1][name] for name in numbers] == [2, 20.0, 10.0]


def test_items_without_a_product_or_a_name_or_a_price_count_as_pieces_paid(describe):
    items = [ITEM, ITEM | {"id": 2, "product_id": 9}, ITEM | {"id": 3, "product_id": 2},
             ITEM | {"id": 4, "sale_price": None}]  # fmt: skip
    _, rows = describe({"order_items": items, "products": [PRODUCT, {"id": 2, "name": " "}]})
    assert rows[1]["total_revenue"] == 60.0
    assert rows[1]["top_products_user"] == ["Linen Shirt"]


def test_events_of_others_and_anonymous_ones_are_nobodys_last_event(describe):
    later = {"created_at": moment("2024-06-20T00:00"), "event_type": "purchase"}
    events = [EVENT, EVENT | later | {"id": 2, "user_id": None},
              EVENT | later | {"id": 3, "user_id": 9}]  # fmt: skip
    _, rows = describe({"events": events})
    assert rows[1]["last_event"] == "cart"
