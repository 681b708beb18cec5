"""The DuckDB warehouse beyond the contract: its file, one process at a time, moments in UTC."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from persona_assets.errors import PersonaError, WarehouseBusy
from persona_assets.warehouse import DuckDBWarehouse

from .tables import SCHEMA, batch, files_of, query, row, rows_of

HELD = """
import sys, time
from pathlib import Path
from persona_assets.warehouse import DuckDBWarehouse
with DuckDBWarehouse(Path(sys.argv[1])).connect():
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def python(code: str, *arguments: Any, **environment: str) -> Iterator[subprocess.Popen]:
    """A second process that runs the code and says when it is ready."""
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def filled(warehouse: DuckDBWarehouse) -> DuckDBWarehouse:
    """A warehouse with the table t: two rows in English, one in German."""
    warehouse.replace("t", SCHEMA, [batch(row(1), row(2), row(3, "de"))])
    return warehouse


class TestTheFile:
    def test_a_stream_that_is_left_early_leaves_no_file(self, filled):
        stream = filled.stream(query("SELECT * FROM persona.t"), {}, rows=1)
        next(stream)
        assert len(files_of(filled)) == 2
        stream.close()
        assert files_of(filled) == ["warehouse.duckdb"]

    def test_exists_says_which_tables_are_there_and_creates_nothing(self, warehouse):
        assert not warehouse.exists("t")
        assert files_of(warehouse) == []
        warehouse.replace("t", SCHEMA, [])
        assert warehouse.exists("t")
        assert not warehouse.exists("T2")

    def test_a_source_table_is_not_taken_for_one_of_ours(self, warehouse):
        warehouse.load({"users": "SELECT 1 AS id"})
        assert not warehouse.exists("users")
        assert warehouse.address("users", "thelook_ecommerce") == (
            "warehouse.thelook_ecommerce.users"
        )

    def test_an_ibis_table_is_computed_inside_the_warehouse(self, filled):
        filled.load({"users": "SELECT UNNEST([1, 2, 3, 4]) AS id"})
        with filled.ibis_table("t") as ours, filled.ibis_table("users", "thelook_ecommerce") as of:
            assert ours.filter(ours.language == "en").count().execute() == 2
            assert of.count().execute() == 4

    def test_no_connection_stays_open(self, filled):
        with filled.connect() as connection:
            pass
        with pytest.raises(duckdb.ConnectionException, match="closed"):
            connection.execute("SELECT 1")
        with filled.ibis_table("t"):
            pass
        with pytest.raises(duckdb.Error):
            filled.read(query("SELECT nothing FROM persona.t"), {})
        next(filled.stream(query("SELECT * FROM persona.t"), {}, 1))
        code = "import duckdb, sys; duckdb.connect(sys.argv[1]); print('opened')"
        with python(code, filled.path) as process:
            assert process.stdout.read() == "opened\n"

    def test_table_and_column_names_are_quoted(self, warehouse):
        schema = pa.schema({"id": pa.int64(), 'group "by"': pa.string()})
        one = pa.RecordBatch.from_pylist([{"id": 1, 'group "by"': "x"}], schema=schema)
        for _ in range(2):
            warehouse.replace("select", schema, [one], where={'group "by"': "x"}, key="id")
        assert warehouse.exists("select")
        with warehouse.ibis_table("select") as table:
            assert table.count().execute() == 1

    @pytest.mark.parametrize("names", [["id"], ["id", "language", "moment", "later"]])
    def test_a_table_of_another_version_is_named_and_stays(self, filled, names):
        schema = pa.schema({name: pa.string() for name in names})
        before = rows_of(filled)
        for write in (
            lambda: filled.append("t", schema, []),
            lambda: filled.replace("t", schema, [], where={"language": "en"}),
        ):
            with pytest.raises(PersonaError, match=r"persona\.t .* another version.*PERSONA_HOME"):
                write()
        assert rows_of(filled) == before

    def test_nothing_is_locked_while_batches_are_drawn(self, filled):
        def drawn():
            with python(HELD, filled.path, 0) as other:
                assert other.stdout.readline() == "held\n"
                other.wait()
            yield batch(row(9))

        filled.replace("t", SCHEMA, drawn())
        assert rows_of(filled) == [row(9)]


KILLED_WHILE_DRAWING = """
import os, signal, sys
import pyarrow as pa
from persona_assets.warehouse import DuckDBWarehouse
schema = pa.schema({"id": pa.int64(), "language": pa.string()})
def batches():
    yield pa.RecordBatch.from_pylist([{"id": 9, "language": "en"}], schema=schema)
    os.kill(os.getpid(), signal.SIGKILL)
DuckDBWarehouse(sys.argv[1]).replace("t", schema, batches(), **eval(sys.argv[2]))
"""
KILLED_BEFORE_THE_COMMIT = """
import os, signal, sys
import pyarrow as pa
from persona_assets.warehouse import DuckDBWarehouse, duckdb as module
def killed(*arguments):
    real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
if eval(sys.argv[2]):
    real = DuckDBWarehouse._insert
    DuckDBWarehouse._insert = staticmethod(killed)
else:
    real = module._count
    module._count = killed
schema = pa.schema({"id": pa.int64(), "language": pa.string(), "tags": pa.list_(pa.string()),
                    "moment": pa.timestamp("us", tz="UTC")})
batch = pa.RecordBatch.from_pylist([{"id": 9, "language": "en"}] * 50_000, schema=schema)
DuckDBWarehouse(sys.argv[1]).replace("t", schema, [batch], **eval(sys.argv[2]))
"""


class TestKilled:
    @pytest.mark.parametrize("where", [{}, {"where": {"language": "en"}, "key": "id"}])
    @pytest.mark.parametrize("code", [KILLED_WHILE_DRAWING, KILLED_BEFORE_THE_COMMIT])
    def test_a_process_that_is_killed_while_writing_leaves_the_old_table(
        self, filled, code, where
    ):
        with python(code, filled.path, where) as process:
            assert process.wait(timeout=30) == -signal.SIGKILL
        assert rows_of(filled) == [row(1), row(2), row(3, "de")]
        filled.append("t", SCHEMA, [batch(row(4))])
        assert len(rows_of(filled)) == 4


class TestOneProcessAtATime:
    def test_who_waits_in_vain_is_told_who_holds_the_file(self, filled):
        waiting = DuckDBWarehouse(filled.path, wait_seconds=0.3)
        with python(HELD, filled.path, 60) as other:
            assert other.stdout.readline() == "held\n"
            start = datetime.now()
            with pytest.raises(WarehouseBusy) as refused:
                waiting.read(query("SELECT 1 AS one"), {})
            took = datetime.now() - start
        assert f"is held by process {other.pid} (" in str(refused.value)
        assert str(filled.path) in str(refused.value)
        assert timedelta(seconds=0.3) <= took < timedelta(seconds=10)

    def test_who_waits_long_enough_gets_in(self, filled):
        waiting = DuckDBWarehouse(filled.path, wait_seconds=30)
        with python(HELD, filled.path, 0.3) as other:
            assert other.stdout.readline() == "held\n"
            assert waiting.exists("t")

    @pytest.mark.parametrize("kind", ["no database", "folder", "no such folder"])
    def test_a_file_that_cannot_be_opened_is_named(self, tmp_path, kind):
        path = tmp_path / "some.duckdb"
        if kind == "no database":
            path.write_text("id,language\n" * 1000)
        elif kind == "folder":
            path.mkdir()
        else:
            path = tmp_path / "nowhere" / "some.duckdb"
        with pytest.raises(PersonaError) as refused:
            DuckDBWarehouse(path, wait_seconds=30).read(query("SELECT 1 AS one"), {})
        assert str(refused.value).startswith(f"The warehouse {path} cannot be opened: ")
        assert not isinstance(refused.value, WarehouseBusy)
        assert "\n" not in str(refused.value)


class TestLoad:
    ROWS = "(VALUES (1, 'a'), (2, NULL), (3, 'c')) AS t (id, name)"

    def version(self, warehouse: DuckDBWarehouse, select: str) -> str:
        warehouse.load({"users": select})
        return warehouse.fingerprint("users", ["id", "name"], "thelook_ecommerce")

    def test_load_replaces_tables_and_counts_their_rows(self, warehouse):
        for last in (3, 5):
            done = warehouse.load(
                {
                    "users": f"SELECT UNNEST(RANGE({last})) AS id",
                    "orders": "SELECT 7 AS order_id",
                }
            )
            assert done["users"].rows == last
            assert done["users"].table == "warehouse.thelook_ecommerce.users"
            assert done["orders"].rows == 1
        with warehouse.ibis_table("users", "thelook_ecommerce") as table:
            assert table.count().execute() == 5

    def test_load_is_all_or_nothing(self, warehouse):
        warehouse.load({"users": "SELECT 1 AS id", "orders": "SELECT 1 AS order_id"})
        with pytest.raises(duckdb.Error):
            warehouse.load(
                {"users": "SELECT 2 AS id", "orders": "SELECT CAST('x' AS BIGINT) AS order_id"}
            )
        for table, column in (("users", "id"), ("orders", "order_id")):
            with warehouse.ibis_table(table, "thelook_ecommerce") as found:
                assert found[column].to_pyarrow().to_pylist() == [1]

    def test_the_version_does_not_depend_on_the_order_of_rows(self, warehouse):
        up, down = (f"SELECT * FROM {self.ROWS} ORDER BY id {way}" for way in ("ASC", "DESC"))
        assert self.version(warehouse, up) == self.version(warehouse, down)

    @pytest.mark.parametrize(
        "select",
        [
            f"SELECT id, UPPER(name) AS name FROM {ROWS}",
            f"SELECT id, COALESCE(name, '') AS name FROM {ROWS}",
            f"SELECT * FROM {ROWS} WHERE id < 3",
            f"SELECT * FROM {ROWS} UNION ALL SELECT 4, 'd'",
            f"SELECT * FROM {ROWS} UNION ALL SELECT 3, 'c'",
            f"SELECT * FROM {ROWS} UNION ALL SELECT 4, 'd' UNION ALL SELECT 4, 'd'",
            "SELECT * FROM (VALUES (1, 'c'), (2, NULL), (3, 'a')) AS t (id, name)",
        ],
        ids=["value", "NULL", "less", "more", "twice", "twins", "swapped"],
    )
    def test_the_version_depends_on_the_content(self, warehouse, select):
        before = self.version(warehouse, f"SELECT * FROM {self.ROWS}")
        assert self.version(warehouse, select) != before
        assert self.version(warehouse, f"SELECT * FROM {self.ROWS}") == before

    def test_an_empty_table_has_a_version_too(self, warehouse):
        version = self.version(warehouse, f"SELECT * FROM {self.ROWS} LIMIT 0")
        assert version and version != self.version(warehouse, f"SELECT * FROM {self.ROWS}")


MOMENTS = """
import sys
from datetime import UTC, datetime
import pyarrow as pa
import sqlglot
from persona_assets.warehouse import DuckDBWarehouse, Query
warehouse = DuckDBWarehouse(sys.argv[1])
late = datetime(2024, 3, 31, 23, 30, tzinfo=UTC)
schema = pa.schema({"moment": pa.timestamp("us", tz="UTC")})
warehouse.replace("t", schema, [pa.RecordBatch.from_pylist([{"moment": late}], schema=schema)])
warehouse.load({"users": "SELECT CAST('2024-03-31 23:30' AS TIMESTAMPTZ) AS moment"})
text = (
    "SELECT t.moment, u.moment AS loaded, DATE(t.moment) AS day, "
    "EXTRACT(HOUR FROM t.moment) AS hour "
    "FROM persona.t AS t CROSS JOIN thelook_ecommerce.users AS u"
)
query = Query("moments", text, sqlglot.parse_one(text, read="bigquery"))
(streamed,) = warehouse.stream(query, {}, 10)
for found in (warehouse.read(query, {}), streamed):
    print(found.schema.field("moment").type, found.schema.field("loaded").type)
    print(*(str(value) for value in found.to_pylist()[0].values()))
with warehouse.ibis_table("t") as table:
    print(table.schema()["moment"], table.moment.to_pyarrow().to_pylist()[0])
"""


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles", ""])
def test_moments_are_in_utc_whatever_the_time_zone_of_the_machine(tmp_path, zone):
    moment = "2024-03-31 23:30:00+00:00"
    seen = f"timestamp[us, tz=UTC] timestamp[us, tz=UTC]\n{moment} {moment} 2024-03-31 23\n"
    with python(MOMENTS, tmp_path / "w.duckdb", TZ=zone) as process:
        assert process.stdout.read() == f"{seen}{seen}timestamp('UTC', 6) {moment}\n"
        assert process.wait() == 0
