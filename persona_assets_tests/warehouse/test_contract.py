"""What every warehouse does, whatever it is: each method, all or nothing.

Run against DuckDB, and against BigQuery's own client with an emulator behind it.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from persona_assets.errors import PersonaError
from persona_assets.warehouse import DuckDBWarehouse, Warehouse

from .tables import NOON, SCHEMA, batch, files_of, partitions, query, row, rows_of

REFUSED = (duckdb.Error, PersonaError)


@pytest.fixture(params=["duckdb", pytest.param("bigquery", marks=pytest.mark.bigquery)])
def warehouse(request: pytest.FixtureRequest) -> Warehouse:
    """An empty warehouse of each kind."""
    if request.param == "duckdb":
        folder = request.getfixturevalue("tmp_path")
        return DuckDBWarehouse(folder / "warehouse.duckdb", wait_seconds=60)
    request.getfixturevalue("emulated")
    from persona_assets_tests.emulator import make_warehouse

    return make_warehouse()


@pytest.fixture
def filled(warehouse: Warehouse) -> Warehouse:
    """A warehouse with the table t: two rows in English, one in German."""
    warehouse.replace("t", SCHEMA, [batch(row(1), row(2), row(3, "de"))])
    return warehouse


def left_behind(warehouse: Any) -> set[str]:
    """What is beside the tables that the tests make: files, or staging tables."""
    if warehouse.kind == "duckdb":
        return {*files_of(warehouse)} - {"warehouse.duckdb"}
    client = warehouse.jobs.client
    found = {table.table_id for table in client.list_tables(warehouse.place)}
    return found - {"t"}


class TestWritingAndReading:
    def test_create_makes_and_then_replaces_a_table(self, warehouse):
        first = warehouse.create("t", query("SELECT 1 AS id UNION ALL SELECT 2"), {})
        assert (first.table, first.rows) == (warehouse.address("t"), 2)
        second = warehouse.create("t", query("SELECT 7 AS id, 'x' AS name"), {})
        assert second.rows == 1
        assert rows_of(warehouse) == [{"id": 7, "name": "x"}]

    def test_a_table_can_be_created_from_itself(self, filled):
        filled.create("t", query("SELECT id + 10 AS id FROM persona.t"), {})
        assert [found["id"] for found in rows_of(filled)] == [11, 12, 13]

    def test_replace_keeps_every_value_and_type(self, warehouse):
        empty = {"id": 2, "language": None, "tags": None, "moment": None}
        odd = {"id": 3, "language": "'\"\n\x00é漢\U0001f456", "tags": [], "moment": NOON}
        receipt = warehouse.replace("t", SCHEMA, [batch(row(1)), batch(empty, odd)])
        assert receipt.rows == 3
        found = warehouse.read(query("SELECT * FROM persona.t ORDER BY id"), {})
        none = None if warehouse.kind == "duckdb" else []  # BigQuery keeps no list that is NULL
        assert found.to_pylist() == [row(1), empty | {"tags": none}, odd]
        assert found.schema == SCHEMA

    def test_replace_without_rows_leaves_an_empty_table_with_its_columns(self, filled):
        assert filled.replace("t", SCHEMA, []).rows == 0
        found = filled.read(query("SELECT * FROM persona.t"), {})
        assert (found.num_rows, found.schema) == (0, SCHEMA)

    def test_replace_may_change_the_columns(self, filled):
        other = pa.schema({"id": pa.string()})
        filled.replace("t", other, [pa.RecordBatch.from_pylist([{"id": "x"}], schema=other)])
        assert rows_of(filled) == [{"id": "x"}]

    def test_append_adds_rows_and_creates_the_table(self, warehouse):
        assert warehouse.append("t", SCHEMA, []).rows == 0
        assert warehouse.append("t", SCHEMA, [batch(row(1)), batch(row(2))]).rows == 2
        assert warehouse.append("t", SCHEMA, [batch(row(3))]).rows == 1
        assert rows_of(warehouse) == [row(1), row(2), row(3)]

    def test_append_goes_by_name_not_by_place(self, filled):
        turned = pa.schema([*reversed(SCHEMA)])
        filled.append("t", turned, [pa.RecordBatch.from_pylist([row(4)], schema=turned)])
        assert rows_of(filled)[-1] == row(4)

    def test_append_of_other_columns_changes_nothing(self, filled):
        other = pa.schema({"unknown": pa.int64()})
        with pytest.raises(REFUSED, match="unknown"):
            filled.append(
                "t", other, [pa.RecordBatch.from_pylist([{"unknown": 1}], schema=other)]
            )
        assert len(rows_of(filled)) == 3

    def test_stream_gives_the_rows_in_batches_and_their_order(self, warehouse):
        warehouse.replace("t", SCHEMA, [batch(*(row(number) for number in range(25)))])
        text = "SELECT id, moment FROM persona.t WHERE id >= @least ORDER BY id DESC"
        batches = list(warehouse.stream(query(text), {"least": 5}, rows=10))
        assert [len(found) for found in batches] == [10, 10]
        assert [n for found in batches for n in found["id"].to_pylist()] == [*range(24, 4, -1)]
        assert batches[0]["moment"][0].as_py() == NOON

    def test_stream_of_no_rows_gives_no_batches(self, filled):
        assert [*filled.stream(query("SELECT id FROM persona.t WHERE id > 9"), {}, 10)] == []

    def test_the_table_that_is_streamed_can_be_replaced_meanwhile(self, filled):
        """What comes out is what was there when the stream began."""
        stream = filled.stream(query("SELECT * FROM persona.t ORDER BY id"), {}, rows=1)
        filled.replace("t", SCHEMA, (batch(row(one["id"][0].as_py() + 10)) for one in stream))
        assert [found["id"] for found in rows_of(filled)] == [11, 12, 13]

    def test_append_with_a_key_leaves_out_what_is_there(self, filled):
        again = batch(row(3, "fr"), row(3, "de"), row(4, "de"))
        assert filled.append("t", SCHEMA, [again], key=("id", "language")).rows == 2
        assert partitions(filled) == [(1, "en"), (2, "en"), (3, "de"), (3, "fr"), (4, "de")]
        assert filled.append("t", SCHEMA, [again], key=("id", "language")).rows == 0

    def test_append_with_a_key_creates_the_table(self, warehouse):
        assert warehouse.append("t", SCHEMA, [batch(row(1))], key=("id",)).rows == 1
        assert rows_of(warehouse) == [row(1)]

    def test_tables_are_there_once_they_are_written(self, warehouse):
        assert not warehouse.exists("t")
        warehouse.replace("t", SCHEMA, [])
        assert warehouse.exists("t")
        assert not warehouse.exists("t2")

    def test_an_ibis_table_is_computed_inside_the_warehouse(self, filled):
        with filled.ibis_table("t") as table:
            english = table.filter(table.language == "en")
            assert english.count().execute() == 2
            assert english.order_by("id").select("id").to_pyarrow().to_pylist() == [
                {"id": 1}, {"id": 2},
            ]  # fmt: skip

    def test_a_hundred_thousand_rows_go_in_and_come_out(self, warehouse):
        schema = pa.schema({"id": pa.int64(), "language": pa.string()})
        numbers = pa.array(range(100_000))
        rows = pa.RecordBatch.from_arrays([numbers, numbers.cast(pa.string())], schema=schema)
        assert warehouse.replace("t", schema, [rows]).rows == 100_000
        out = query("SELECT COUNT(*) AS n, COUNT(DISTINCT language) AS texts FROM persona.t")
        assert warehouse.read(out, {}).to_pylist() == [{"n": 100_000, "texts": 100_000}]
        some = query("SELECT id FROM persona.t WHERE id >= 80000")
        found = [*warehouse.stream(some, {}, rows=8_000)]
        assert [len(one) for one in found] == [8_000, 8_000, 4_000]
        assert {n for one in found for n in one["id"].to_pylist()} == {*range(80_000, 100_000)}


class TestParameters:
    @pytest.mark.parametrize(
        "value", ["'; DROP TABLE persona.t; --", "O'Hara", '"', "$least", "@value", "\\", ""]
    )
    def test_a_value_stays_a_value(self, filled, value):
        assert filled.read(query("SELECT @value AS v"), {"value": value})["v"][0].as_py() == value
        filled.create("u", query("SELECT 1 AS id, @value AS v"), {"value": value})
        assert rows_of(filled, "u") == [{"id": 1, "v": value}]
        (found,) = filled.stream(query("SELECT @value AS v"), {"value": value}, 5)
        assert found["v"][0].as_py() == value
        assert len(rows_of(filled)) == 3

    @pytest.mark.parametrize("value", ["de' OR TRUE --", "d_", "'de'"])
    def test_the_partition_is_a_value_too(self, filled, value):
        filled.replace("t", SCHEMA, [batch(row(9, value))], where={"language": value})
        assert partitions(filled) == [(1, "en"), (2, "en"), (3, "de"), (9, value)]

    def test_lists_dates_and_null_are_bound(self, filled):
        text = "SELECT id FROM persona.t WHERE language IN UNNEST(@some) AND DATE(moment) = @day"
        parameters = {"some": ["de", "fr"], "day": NOON.date()}
        assert filled.read(query(text), parameters)["id"].to_pylist() == [3]
        text = "SELECT COUNT(*) AS n FROM persona.t WHERE @x IS NULL OR language = @x"
        assert filled.read(query(text), {"x": None})["n"].to_pylist() == [3]

    def test_arrays_of_structs_are_bound(self, filled):
        text = (
            "SELECT id, (SELECT x.name FROM UNNEST(@some) AS x "
            "ORDER BY ABS(x.at[OFFSET(0)] - t.id), x.name LIMIT 1) AS nearest "
            "FROM persona.t AS t ORDER BY id"
        )
        some = [{"name": "b", "at": [1.5]}, {"name": "a", "at": [2.5]}, {"name": "c", "at": [9.0]}]
        assert filled.read(query(text), {"some": some})["nearest"].to_pylist() == ["b", "a", "a"]

    def test_a_missing_parameter_is_named(self, filled):
        broken = query("SELECT @one AS a, @two AS b, @three AS c", "report/example")
        said = "sql/report/example.sql needs a value for @one, @three"
        for ask in (
            lambda: filled.read(broken, {"two": 2}),
            lambda: filled.create("t", broken, {"two": 2}),
            lambda: next(filled.stream(broken, {"two": 2}, 1)),
        ):
            with pytest.raises(ValueError) as refused:
                ask()
            assert str(refused.value) == said
        assert len(rows_of(filled)) == 3

    def test_a_parameter_too_many_is_left_alone(self, filled):
        assert filled.read(query("SELECT @a AS a"), {"a": 1, "b": 2})["a"].to_pylist() == [1]

    def test_words_of_the_language_may_be_names(self, warehouse):
        schema = pa.schema({"id": pa.int64(), "group": pa.string()})
        one = pa.RecordBatch.from_pylist([{"id": 1, "group": "x"}], schema=schema)
        for _ in range(2):
            warehouse.replace("select", schema, [one], where={"group": "x"}, key="id")
            warehouse.append("select", schema, [one], key=["group"])
        assert warehouse.exists("select")
        with warehouse.ibis_table("select") as table:
            assert table.count().execute() == 1



class TestPartitions:
    def test_replace_touches_only_its_partition(self, filled):
        receipt = filled.replace("t", SCHEMA, [batch(row(4, "de"))], where={"language": "de"})
        assert receipt.rows == 1
        assert partitions(filled) == [(1, "en"), (2, "en"), (4, "de")]

    def test_an_empty_partition_is_emptied(self, filled):
        assert filled.replace("t", SCHEMA, [], where={"language": "en"}).rows == 0
        assert partitions(filled) == [(3, "de")]

    def test_the_first_partition_creates_the_table(self, warehouse):
        warehouse.replace("t", SCHEMA, [batch(row(1))], where={"language": "en"}, key="id")
        assert partitions(warehouse) == [(1, "en")]

    def test_key_takes_a_row_out_of_the_other_partition(self, filled):
        moved = [batch(row(3, "en"), row(1))]
        filled.replace("t", SCHEMA, moved, where={"language": "en"}, key="id")
        assert partitions(filled) == [(1, "en"), (3, "en")]

    def test_without_key_the_other_partition_keeps_its_row(self, filled):
        filled.replace("t", SCHEMA, [batch(row(3, "en"))], where={"language": "en"})
        assert partitions(filled) == [(3, "de"), (3, "en")]

    def test_replacing_again_changes_nothing(self, filled):
        for _ in range(2):
            filled.replace(
                "t", SCHEMA, [batch(row(3, "en"), row(5))], where={"language": "en"}, key="id"
            )
        assert partitions(filled) == [(3, "en"), (5, "en")]

    def test_writers_of_different_partitions_do_not_lose_each_others_rows(self, filled):
        languages = ["en", "de", "fr", "ja"]

        def write(number: int) -> int:
            language = languages[number]
            new = [batch(row(10 * number + 1, language), row(10 * number + 2, language))]
            return filled.replace("t", SCHEMA, new, where={"language": language}, key="id").rows

        with ThreadPoolExecutor(len(languages)) as pool:
            assert [*pool.map(write, range(4))] == [2, 2, 2, 2]
        assert partitions(filled) == sorted(
            (10 * number + place, languages[number]) for number in range(4) for place in (1, 2)
        )



def _breaking(*batches: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    yield from batches
    raise RuntimeError("the source broke off")


def _wrong(*batches: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    yield from batches
    yield pa.RecordBatch.from_pylist([{"other": 1}])


class TestAllOrNothing:
    @pytest.mark.parametrize("broken", [_breaking, _wrong])
    @pytest.mark.parametrize(
        "write",
        [
            lambda w, found: w.replace("t", SCHEMA, found),
            lambda w, found: w.replace("t", SCHEMA, found, where={"language": "en"}, key="id"),
            lambda w, found: w.append("t", SCHEMA, found),
        ],
        ids=["replace", "replace where", "append"],
    )
    def test_batches_that_break_off_change_nothing(self, filled, write: Callable, broken):
        with pytest.raises((RuntimeError, ValueError)):
            write(filled, broken(batch(row(7)), batch(row(8))))
        assert rows_of(filled) == [row(1), row(2), row(3, "de")]
        assert left_behind(filled) == set()

    def test_batches_that_break_off_create_no_table(self, warehouse):
        with pytest.raises(RuntimeError):
            warehouse.append("t", SCHEMA, _breaking(batch(row(1))))
        assert not warehouse.exists("t")
        assert left_behind(warehouse) == set()

    def test_a_partition_that_cannot_be_inserted_keeps_its_rows(self, filled):
        other = pa.schema({"id": pa.int64(), "language": pa.string(), "more": pa.string()})
        one = pa.RecordBatch.from_pylist([{"id": 1, "language": "en", "more": ""}], schema=other)
        with pytest.raises(REFUSED, match="more"):
            filled.replace("t", other, [one], where={"language": "en"}, key="id")
        assert partitions(filled) == [(1, "en"), (2, "en"), (3, "de")]

    def test_a_query_that_fails_half_way_keeps_the_table(self, filled):
        failing = query("SELECT CAST(IF(id = 3, 'three', '3') AS INT64) AS id FROM persona.t")
        with pytest.raises(REFUSED):
            filled.create("t", failing, {})
        assert rows_of(filled) == [row(1), row(2), row(3, "de")]


class TestFingerprints:
    def of(self, warehouse, *rows, columns=("id", "language", "tags"), **where) -> str:
        warehouse.replace("t", SCHEMA, [batch(*rows)])
        return warehouse.fingerprint("t", columns, where=where)

    def test_the_order_of_the_rows_does_not_matter_and_their_content_does(self, warehouse):
        one, two, unsaid = row(1), row(2), row(2) | {"language": None}
        several = [[one, two], [one, unsaid], [one], [one, one], [two], []]
        found = [self.of(warehouse, *rows) for rows in several]
        assert found[0] == self.of(warehouse, two, one)
        assert len({*found}) == len(several)

    def test_other_columns_and_other_parts_do_not_matter(self, warehouse):
        before = self.of(warehouse, row(1), row(2), language="en")
        assert before == self.of(warehouse, row(1), row(2), row(3, "de"), language="en")
        assert before != self.of(warehouse, row(1), row(2), row(3), language="en")
        ids = self.of(warehouse, row(1), columns=["id"])
        assert ids == self.of(warehouse, row(1) | {"tags": ["c"]}, columns=["id"])
