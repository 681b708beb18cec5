"""The CASE that stands in for a subquery over a bound array, against DuckDB's own subquery."""

import duckdb
import pytest

from persona_assets.warehouse import read_query
from persona_assets.warehouse.googlesql import SQL_FOLDER
from persona_assets.warehouse.unroll import unroll

NAMES = sorted(
    file.relative_to(SQL_FOLDER).with_suffix("").as_posix() for file in SQL_FOLDER.rglob("*.sql")
)
QUERY = read_query("customer_segments")
# Of so many buyers, so that every element is nearest to one.
PLACES = """
    SELECT LN(1 + total_orders), 0.5 * LN(1 + total_revenue), 2 * LN(1 + months_since_last_order)
    FROM persona.parametric WHERE total_orders > 0 ORDER BY user_id LIMIT ?
"""


def parameters(centres) -> dict:
    """Names in another order than the elements."""
    names = [f"seg_{len(centres) - place}" for place in range(len(centres))]
    return {
        "weights": [1.0, 0.5, 2.0],
        "model": [
            {"segment": name, "centre": [*map(float, centre)]}
            for name, centre in zip(names, centres, strict=True)
        ],
        "segmentation_run": "run",
    }


@pytest.fixture(scope="module")
def customers():
    """A database with 500 buyers and a prospect."""
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA persona; SELECT SETSEED(0.1)")
        connection.execute(
            "CREATE TABLE persona.parametric AS "
            "SELECT range AS user_id, range % 9 AS total_orders, 300 * RANDOM() AS total_revenue, "
            "CASE WHEN range % 9 > 0 THEN 40 * RANDOM() END AS months_since_last_order "
            "FROM RANGE(500)"
        )
        yield connection


@pytest.mark.parametrize("elements", [1, 2, 3, 7, 12])
def test_the_case_finds_the_element_that_the_subquery_finds(customers, elements):
    values = parameters(customers.execute(PLACES, [elements]).fetchall())
    case, subquery = (
        customers.execute(f"FROM ({text}) ORDER BY user_id", values).fetchall()
        for text in (QUERY.to_duckdb(values)[0], QUERY.tree.sql("duckdb"))
    )
    assert case == subquery
    assert len({segment for _, segment, _ in case}) == elements + 1


def test_a_tie_goes_to_the_name_that_sorts_first(customers):
    values = parameters([[1, 2, 3], [2, 2, 7], [1, 2, 3]])  # seg_3, seg_2, seg_1
    found = customers.execute(*QUERY.to_duckdb(values)).fetchall()
    assert {segment for _, segment, _ in found} == {"seg_1", "seg_2", "prospects"}


def test_the_values_stay_out_of_the_text():
    values = parameters([[1.25, 2.5, 3.75], [4.125, 5, 6]])
    text, _ = QUERY.to_duckdb(values)
    assert not [value for value in ("seg_1", "1.25", "4.125", "'run'") if value in text]
    assert "$model[2].segment" in text


@pytest.mark.parametrize("name", [name for name in NAMES if name != QUERY.name])
def test_every_other_query_stays_as_it_is(name):
    tree = read_query(name).tree
    assert unroll(tree, {}) == tree
