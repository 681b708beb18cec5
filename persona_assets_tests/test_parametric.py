"""The behaviour of customers: every column of `parametric`, computed again without SQL."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from persona_assets import schemas
from persona_assets.languages import countries
from persona_assets.source import CONSENT, inspect_source
from persona_assets.warehouse import DuckDBWarehouse, read_query

from .conftest import moment

EXCLUDED = ("Cancelled", "Returned")
AS_OF = date(2024, 12, 31)
FLOATS = {
    name for name, spec in schemas.columns(schemas.parametric).items()
    if str(spec.dtype) == "float64"
}  # fmt: skip


def computed(folder: Path, as_of: date, excluded: Sequence[str]) -> pd.DataFrame:
    """`parametric` by user_id, from the source's Parquet files with pandas."""
    users, orders, items, products, events = (
        pq.read_table(
            folder / f"{model.__name__}.parquet",
            columns=[name for name in schemas.columns(model) if name != CONSENT],
        ).to_pandas()
        for model in schemas.SOURCES
    )
    rows = users.set_index("id")[["first_name", "email", "country"]]
    rows = rows.apply(lambda column: column.str.strip()).replace("", None)
    known = countries().to_pandas().set_index("spelling")
    spelling = rows.country.str.lower()
    rows["country"] = spelling.map(known.country).fillna(rows.country)
    rows["territory"] = spelling.map(known.territory)
    rows["language"] = spelling.map(known.language).fillna("en")

    orders["day"] = orders.created_at.dt.tz_convert("UTC").dt.date
    orders = orders[~orders.status.isin([*excluded]) & (orders.day <= as_of)]
    by_customer = orders.groupby("user_id")
    rows["total_orders"] = by_customer.size().reindex(rows.index, fill_value=0)
    rows["first_order_date"] = by_customer.day.min()
    rows["last_order_date"] = by_customer.day.max()

    items = items.merge(orders[["order_id", "user_id"]], on="order_id")
    items["product"] = items.product_id.map(products.set_index("id").name.str.strip())
    items["country"] = items.user_id.map(rows.country)
    revenue = items.groupby("user_id").sale_price.sum()
    rows["total_revenue"] = revenue.reindex(rows.index, fill_value=0.0)
    rows["avg_basket"] = rows.total_revenue / rows.total_orders.replace(0, np.nan)
    rows["top_products_user"] = _top_three(items, "user_id")
    rows["top_products_country"] = rows.country.map(_top_three(items, "country"))

    events = events[events.created_at.dt.tz_convert("UTC").dt.date <= as_of]
    events = events.sort_values(["created_at", "sequence_number", "id"], na_position="first")
    rows["last_event"] = events.groupby("user_id").tail(1).set_index("user_id").event_type

    def months_since(days: pd.Series) -> pd.Series:
        return days.map(lambda day: (as_of - day).days / 30.44, na_action="ignore").astype(float)

    rows["months_since_last_order"] = months_since(rows.last_order_date)
    tenure = months_since(rows.first_order_date).clip(lower=1)
    rows["freq_orders_per_month"] = (rows.total_orders / tenure).fillna(0.0)
    rows["freq_orders_per_quarter"] = 3 * rows.freq_orders_per_month
    rows["as_of"] = as_of
    rows.index.name = "user_id"
    return rows


def _top_three(items: pd.DataFrame, owner: str) -> pd.Series:
    named = items[items["product"].fillna("") != ""]
    pieces = named.groupby([owner, "product"]).size().rename("pieces").reset_index()
    ranked = pieces.sort_values(["pieces", "product"], ascending=[False, True])
    return ranked.groupby(owner).head(3).groupby(owner)["product"].agg(list)


def rows_that_differ(found: pd.DataFrame, expected: pd.DataFrame) -> dict[str, int]:
    """By column, in how many rows two tables differ; sums of prices may differ by rounding."""
    assert sorted(found.columns) == sorted(expected.columns)
    assert found.index.is_unique and set(found.index) == set(expected.index)
    found = found.reindex(expected.index)
    return {
        column: int((~_same(found[column], expected[column], column in FLOATS)).sum())
        for column in expected.columns
    }


def _same(one: pd.Series, other: pd.Series, is_float: bool) -> np.ndarray:
    if is_float:
        return np.isclose(one.astype(float), other.astype(float), 1e-9, 1e-9, equal_nan=True)
    pairs = zip(map(_plain, one), map(_plain, other), strict=True)
    return np.fromiter((a == b for a, b in pairs), bool, len(one))


def _plain(value: Any) -> Any:
    if isinstance(value, (list, np.ndarray)):
        return [*value]
    return None if pd.isna(value) else value


def table(warehouse: DuckDBWarehouse) -> pd.DataFrame:
    """The table `parametric`, by user_id."""
    with warehouse.connect() as connection:
        rows = connection.execute("FROM persona.parametric").to_arrow_table()
    # Dates stay dates, and whole numbers with NULLs are not among the columns.
    return rows.to_pandas(date_as_object=True).set_index("user_id")


@pytest.mark.parametrize(
    ("as_of", "excluded"),
    [(date(2025, 1, 31), EXCLUDED), (date(2024, 3, 15), EXCLUDED), (date(2025, 1, 31), ())],
    ids=["newest day", "amid the history", "no status left out"],
)
def test_every_column_of_every_customer_is_the_one_computed_without_sql(
    shop: Path, warehouse: DuckDBWarehouse, as_of, excluded
):
    warehouse.load({source.name: source.select for source in inspect_source(shop)})
    spellings = countries()
    warehouse.replace("countries", spellings.schema, spellings.to_batches())
    make(warehouse, as_of, excluded)
    expected = computed(shop, as_of, excluded)
    found = table(warehouse)
    assert rows_that_differ(found, expected) == dict.fromkeys(expected.columns, 0)
    assert expected.total_orders.eq(0).any() and expected.total_orders.gt(3).any()
    assert expected.last_event.isna().any() and expected.top_products_user.str.len().gt(2).any()
    assert expected.language.nunique() == 9


# Small shops, each made for one promise.


def make(warehouse: DuckDBWarehouse, as_of: date, excluded: Sequence[str]) -> None:
    parameters = {"as_of": as_of, "excluded_statuses": [*excluded]}
    warehouse.create("parametric", read_query("parametric"), parameters)


@pytest.fixture
def describe(load_source: Callable[..., DuckDBWarehouse]) -> Callable[..., dict[int, dict]]:
    """The rows of `parametric` by user_id, for a shop whose tables are given as keywords."""

    def described(
        *, as_of: date = AS_OF, excluded: Sequence[str] = EXCLUDED, **tables: Sequence[Mapping]
    ) -> dict[int, dict]:
        warehouse = load_source(**tables)
        make(warehouse, as_of, excluded)
        with warehouse.connect() as connection:
            rows = connection.execute("FROM persona.parametric").to_arrow_table().to_pylist()
        assert len({row["user_id"] for row in rows}) == len(rows)
        return {row["user_id"]: row for row in rows}

    return described


def user(number: int, **changes: Any) -> dict:
    given = {"first_name": "Ana", "email": f"ana{number}@example.org", "country": "Spain"}
    return {"id": number, "created_at": moment("2023-01-01"), **given, **changes}


def order(number: int, at: str, status: str | None = "Complete", user: int | None = 1) -> dict:
    return {"order_id": number, "user_id": user, "status": status, "created_at": moment(at)}


def item(number: int, order: int, product: int | None = 1, price: float | None = 20.0) -> dict:
    return {"id": number, "order_id": order, "product_id": product, "sale_price": price}


def items(order: int, *products: int | None) -> list[dict]:
    """One line of the order per product."""
    return [item(100 * order + n, order, product) for n, product in enumerate(products)]


def event(number: int, at: str, kind: str, sequence: int | None = 1) -> dict:
    return {"id": number, "user_id": 1, "sequence_number": sequence, "created_at": moment(at),
            "event_type": kind}  # fmt: skip


def named(**names: str | None) -> list[dict]:
    """Products by id: named(p1="Coat") is product 1, Coat."""
    return [{"id": int(key[1:]), "name": name} for key, name in names.items()]


ONE_ORDER = {
    "total_orders": 1,
    "total_revenue": 20.0,
    "avg_basket": 20.0,
    "first_order_date": date(2024, 6, 1),
    "last_order_date": date(2024, 6, 1),
    "months_since_last_order": pytest.approx(213 / 30.44),
    "freq_orders_per_month": pytest.approx(30.44 / 213),
    "freq_orders_per_quarter": pytest.approx(3 * 30.44 / 213),
    "top_products_user": ["Coat"],
    "top_products_country": ["Coat"],
}


@pytest.mark.parametrize(
    "extra",
    [
        [order(2, "2024-01-01", "Cancelled"), order(3, "2024-12-01", "Cancelled")],
        [order(2, "2024-01-01", "Returned"), order(3, "2024-12-01", "Returned")],
        [order(2, "2025-01-01T00:00"), order(3, "2025-06-01")],
    ],
    ids=["cancelled", "returned", "after as_of"],
)
def test_an_order_that_is_left_out_counts_nowhere(describe, extra):
    row = describe(
        orders=[order(1, "2024-06-01"), *extra],
        order_items=items(1, 1) + items(2, 2, 2) + items(3, 2),
        products=named(p1="Coat", p2="Belt"),
    )[1]
    assert {column: row[column] for column in ONE_ORDER} == ONE_ORDER


def test_the_statuses_to_leave_out_are_a_choice(describe):
    statuses = ["Complete", "Cancelled", "Returned", "Lost", None]
    row = describe(
        excluded=["Lost"],
        orders=[order(n, "2024-06-01", status) for n, status in enumerate(statuses)],
        order_items=[item(n, n, price=10.0**n) for n in range(5)],
    )[1]
    assert (row["total_orders"], row["total_revenue"]) == (4, 10_111.0)


def test_with_no_status_left_out_every_order_counts(describe):
    statuses = ["Complete", "Cancelled", "Returned", None]
    orders = [order(n, "2024-06-01", status) for n, status in enumerate(statuses)]
    assert describe(excluded=[], orders=orders)[1]["total_orders"] == 4


def test_as_of_is_a_whole_day_in_utc(describe):
    row = describe(
        as_of=date(2024, 6, 2),
        orders=[order(1, "2024-06-02T23:59:59"), order(2, "2024-06-03T00:00:00")],
        events=[event(1, "2024-06-02T23:59:59", "cart"), event(2, "2024-06-03", "purchase")],
    )[1]
    assert (row["total_orders"], row["last_event"]) == (1, "cart")
    assert (row["last_order_date"], row["as_of"]) == (date(2024, 6, 2), date(2024, 6, 2))


def test_top_products_are_the_three_most_bought_and_ties_go_by_name(describe):
    row = describe(
        orders=[order(1, "2024-06-01"), order(2, "2024-07-01")],
        order_items=items(1, 1, 2, 3, 4, 5) + items(2, 5),
        products=named(p1="Umbrella", p2="Coat", p3="apron", p4="Belt", p5="Zip"),
    )[1]
    assert row["top_products_user"] == ["Zip", "Belt", "Coat"]
    assert row["top_products_country"] == ["Zip", "Belt", "Coat"]


def test_top_products_of_a_country_count_every_customer_of_it_and_nobody_else(describe):
    rows = describe(
        users=[user(1), user(2), user(3, country="France"), user(4), user(5, country="Chile")],
        orders=[order(n, "2024-06-01", user=n) for n in (1, 2, 3)],
        order_items=items(1, 1, 2) + items(2, 2, 3) + items(3, 1, 1, 1),
        products=named(p1="Coat", p2="Belt", p3="Apron"),
    )
    assert rows[1]["top_products_country"] == ["Belt", "Apron", "Coat"]
    assert rows[2]["top_products_country"] == rows[4]["top_products_country"]
    assert rows[4]["top_products_country"] == ["Belt", "Apron", "Coat"]
    assert rows[3]["top_products_country"] == ["Coat"]
    assert rows[5]["top_products_country"] is None
    assert [rows[n]["top_products_user"] for n in (1, 2, 3, 4)] == [
        ["Belt", "Coat"], ["Apron", "Belt"], ["Coat"], None,
    ]  # fmt: skip


def test_products_of_the_same_name_are_one_product(describe):
    row = describe(
        order_items=items(1, 1, 2, 3),
        products=named(p1="Belt", p2="Coat", p3=" Coat  "),
    )[1]
    assert row["top_products_user"] == ["Coat", "Belt"]


def test_items_without_a_named_product_are_revenue_and_no_product(describe):
    row = describe(
        order_items=items(1, None, None, 99, 2, 2, 3, 3, 1),
        products=named(p1="Coat", p2=None, p3="  "),
    )[1]
    assert row["total_revenue"] == 8 * 20.0
    assert row["top_products_user"] == row["top_products_country"] == ["Coat"]


def test_a_customer_of_nameless_products_has_no_top_products(describe):
    row = describe(order_items=items(1, None))[1]
    assert (row["total_orders"], row["total_revenue"]) == (1, 20.0)
    assert row["top_products_user"] is None and row["top_products_country"] is None


def test_an_order_without_items_is_an_order_with_revenue_0(describe):
    rows = describe(
        users=[user(1), user(2)],
        orders=[order(1, "2024-06-01"), order(2, "2024-07-01"), order(3, "2024-07-01", user=2)],
        order_items=items(1, 1),
    )
    assert (rows[1]["total_orders"], rows[1]["avg_basket"]) == (2, 10.0)
    assert rows[1]["last_order_date"] == date(2024, 7, 1)
    assert (rows[2]["total_orders"], rows[2]["total_revenue"], rows[2]["avg_basket"]) == (1, 0, 0)


def test_the_basket_is_revenue_by_order_and_not_by_item(describe):
    row = describe(order_items=items(1, 1, 1, 1))[1]
    assert (row["total_orders"], row["avg_basket"], row["total_revenue"]) == (1, 60.0, 60.0)


def test_an_item_without_a_price_is_a_piece_for_nothing(describe):
    row = describe(
        order_items=[item(1, 1, 1, None), item(2, 1, 2, 20.0), item(3, 1, 1, None)],
        products=named(p1="Coat", p2="Belt"),
    )[1]
    assert (row["total_revenue"], row["top_products_user"]) == (20.0, ["Coat", "Belt"])


def test_revenue_is_the_same_number_in_whatever_order_the_prices_are_added(describe):
    """0.1 ten times is 0.9999999999999999 when added one by one, and 1.0 in two halves: a basket
    of 20.50 would be told to the writer as 20 on one day and as 21 on the next."""
    row = describe(
        orders=[order(1, "2024-06-01"), order(2, "2024-06-01")],
        order_items=[item(n, 1 + n % 2, price=0.1) for n in range(10)],
    )[1]
    assert (row["total_revenue"], row["avg_basket"]) == (1.0, 0.5)


def test_the_last_event_is_the_newest_by_time_then_sequence_then_id(describe):
    cases = {
        "time": [event(1, "2024-06-02", "last"), event(2, "2024-06-01", "zoo", 9)],
        "microsecond": [event(3, "2024-06-01T10:00", "last"),
                        event(4, "2024-06-01T09:59:59.999999", "zoo", 9)],
        "sequence": [event(5, "2024-06-01", "last", 2), event(6, "2024-06-01", "zoo", 1)],
        "no sequence": [event(8, "2024-06-01", "zoo", None), event(7, "2024-06-01", "last", 1)],
        "id": [event(10, "2024-06-01", "last"), event(9, "2024-06-01", "zoo")],
        "after as_of": [event(11, "2024-12-31T23:59", "last"), event(12, "2025-01-01", "zoo")],
    }  # fmt: skip
    rows = describe(
        users=[user(number) for number in range(7)],
        events=[one | {"user_id": n} for n, both in enumerate(cases.values()) for one in both],
    )
    found = {case: rows[number]["last_event"] for number, case in enumerate(cases)}
    assert found == dict.fromkeys(cases, "last")
    assert rows[6]["last_event"] is None


def test_recency_is_in_months_of_30_44_days(describe):
    days = {1: 0, 2: 1, 3: 31, 4: 366, 5: 761}
    orders = [order(n, str(AS_OF - timedelta(gone)), user=n) for n, gone in days.items()]
    rows = describe(
        users=[user(n) for n in days],
        orders=orders + [order(10 + n, "2022-01-01", user=n) for n in days],
    )
    found = {n: row["months_since_last_order"] for n, row in rows.items()}
    assert found == pytest.approx({n: gone / 30.44 for n, gone in days.items()}, abs=1e-12)
    assert (found[1], found[5]) == (0, 25)


def test_frequency_is_over_the_months_since_the_first_order_and_over_one_at_least(describe):
    days = {1: 0, 2: 30, 3: 31, 4: 761}
    firsts = [order(n, str(AS_OF - timedelta(gone)), user=n) for n, gone in days.items()]
    others = [order(10 * n + i, str(AS_OF), user=n) for n in days for i in (1, 2)]
    rows = describe(users=[user(n) for n in days], orders=firsts + others)
    per_month = {1: 3, 2: 3, 3: 3 * 30.44 / 31, 4: 3 / 25}
    found = {n: row["freq_orders_per_month"] for n, row in rows.items()}
    assert found == pytest.approx(per_month)
    for row in rows.values():
        assert row["freq_orders_per_quarter"] == pytest.approx(3 * row["freq_orders_per_month"])


def test_several_spellings_of_a_country_are_one_country(describe):
    spellings = ["Germany", "Deutschland", "DE", "  germany ", "GERMANY", "Allemagne", "ألمانيا"]
    rows = describe(
        users=[user(n, country=spelling) for n, spelling in enumerate(spellings)],
        orders=[order(n, "2024-06-01", user=n) for n in range(3)],
        order_items=items(0, 1) + items(1, 2, 3) + items(2, 3),
        products=named(p1="Coat", p2="Belt", p3="Zip"),
    )
    assert len(rows) == len(spellings)
    for row in rows.values():
        assert (row["country"], row["territory"], row["language"]) == ("Germany", "DE", "de")
        assert row["top_products_country"] == ["Zip", "Belt", "Coat"]


def test_every_known_spelling_finds_its_country_however_it_is_written(describe):
    known = countries().to_pylist()
    writings = (str.title, str.capitalize, "  {}  ".format)
    people = [(write(k["spelling"]), k) for k in known for write in writings]
    rows = describe(users=[user(n, country=given) for n, (given, _) in enumerate(people)])
    columns = ("country", "territory", "language")
    wrong = [given for n, (given, k) in enumerate(people)
             if any(rows[n][column] != k[column] for column in columns)]  # fmt: skip
    assert wrong == []


def test_an_unknown_country_is_as_given_and_written_to_in_english(describe):
    givens = ["Atlantis", " Atlantis ", "", "   ", None]
    rows = describe(
        users=[user(n, country=given) for n, given in enumerate(givens)],
        orders=[order(1, "2024-06-01", user=0), order(2, "2024-06-01", user=2)],
        order_items=items(1, 1) + items(2, 1),
    )
    for number in (0, 1):
        assert rows[number]["country"] == "Atlantis"
        assert rows[number]["top_products_country"] == ["Linen Shirt"]
    for number in (2, 3, 4):
        assert rows[number]["country"] is rows[number]["top_products_country"] is None
    assert {(row["territory"], row["language"]) for row in rows.values()} == {(None, "en")}


def test_a_country_with_none_of_the_nine_languages_is_known_and_written_to_in_english(describe):
    row = describe(users=[user(1, country="Polska")])[1]
    assert (row["country"], row["territory"], row["language"]) == ("Poland", "PL", "en")


@pytest.mark.parametrize(
    "orders",
    [[order(1, "2024-06-01", user=2)], [order(1, "2024-06-01", "Cancelled")],
     [order(1, "2025-06-01")]],
    ids=["never", "cancelled only", "after as_of only"],
)  # fmt: skip
def test_a_customer_without_orders_has_no_recency_and_no_basket_rather_than_0(describe, orders):
    row = describe(users=[user(1)], orders=orders)[1]
    assert row == {
        "user_id": 1,
        "first_name": "Ana",
        "email": "ana1@example.org",
        "country": "Spain",
        "territory": "ES",
        "language": "es",
        "total_orders": 0,
        "avg_basket": None,
        "total_revenue": 0.0,
        "top_products_user": None,
        "last_event": "cart",
        "top_products_country": None,
        "first_order_date": None,
        "last_order_date": None,
        "months_since_last_order": None,
        "freq_orders_per_month": 0.0,
        "freq_orders_per_quarter": 0.0,
        "as_of": AS_OF,
    }


@pytest.mark.parametrize("column", ["first_name", "email"])
def test_names_and_addresses_are_trimmed_and_blank_ones_are_none(describe, column):
    kept = {None: None, "": None, "   ": None, "\u00a0": None, "\t\n": None}
    kept |= {" a@b.org ": "a@b.org", "a@b.org\n": "a@b.org", "a b": "a b"}
    rows = describe(users=[user(n, **{column: given}) for n, given in enumerate(kept)])
    assert [rows[n][column] for n in range(len(kept))] == [*kept.values()]


def test_every_customer_has_one_row_and_strangers_have_none(describe):
    rows = describe(
        users=[user(n, email="shared@example.org") for n in range(5)],
        orders=[order(1, "2024-06-01"), order(2, "2024-06-01", user=77),
                order(3, "2024-06-01", user=None)],
        order_items=items(1, 1, 1) + items(2, 2, 2, 2) + items(3, 2) + items(55, 2),
        products=named(p1="Coat", p2="Belt"),
        events=[event(1, "2024-06-01", "cart") | {"user_id": stranger} for stranger in (77,)]
        + [event(2, "2024-06-01", "cart") | {"user_id": None}],
    )  # fmt: skip
    assert sorted(rows) == [0, 1, 2, 3, 4]
    assert {row["last_event"] for row in rows.values()} == {None}
    assert sum(row["total_revenue"] for row in rows.values()) == 40.0
    assert all(row["top_products_country"] == ["Coat"] for row in rows.values())
