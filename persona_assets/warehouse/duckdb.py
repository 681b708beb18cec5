"""The embedded warehouse: a DuckDB file that is opened late and closed early.

One process may have the file open at a time. Every method opens it, does one thing in one
transaction and closes it; who finds it taken waits, then says who holds it.
"""

import os
import re
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from persona_assets.errors import PersonaError, WarehouseBusy
from persona_assets.warehouse.base import OUR_DATASET, SOURCE_DATASET, Layout, Receipt
from persona_assets.warehouse.googlesql import Query

# The first storage version with zstd, which makes e-mails a tenth of their size and is as fast. A
# group of rows is held in memory while it is written: with DuckDB's usual 122,880, writing 280,000
# e-mails took 990 MB at the highest instead of 820.
_STORAGE = "STORAGE_VERSION 'v1.2.0', ROW_GROUP_SIZE 30720"
_HOLDER = re.compile(r"lock is held in (?P<program>.*?) \(PID (?P<pid>\d+)\)")


class _Engine:
    """A DuckDB in memory that the file is attached to while somebody in this process uses it: that
    takes an eighth of the time that starting one with the file does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = exp.to_identifier(path.stem, quoted=True).sql("duckdb")
        self._memory = duckdb.connect(":memory:", config={"temp_directory": f"{path}.tmp"})
        self._changing = threading.Lock()
        self._users = 0

    def open(self) -> duckdb.DuckDBPyConnection:
        """A connection to the file. Raises IOException as ATTACH does."""
        with self._changing:
            file = exp.Literal.string(str(self._path)).sql("duckdb")
            self._memory.execute(f"ATTACH IF NOT EXISTS {file} AS {self._name} ({_STORAGE})")
            self._users += 1
            connection = self._memory.cursor()
            connection.execute(f"USE {self._name}")
            return connection

    def close(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Give the connection back; the last one lets go of the file."""
        with self._changing:
            connection.close()
            self._users -= 1
            if not self._users:
                self._memory.execute(f"DETACH {self._name}")


# By process too: a child must not use what its parent opened.
_engines: WeakValueDictionary[tuple[int, Path], _Engine] = WeakValueDictionary()
_finding = threading.Lock()


def _find_engine(path: Path) -> _Engine:
    """The one engine of this process for the file."""
    key = (os.getpid(), path.absolute())
    with _finding:
        found = _engines.get(key)
        if found is None:
            found = _engines[key] = _Engine(path.absolute())
        return found


class DuckDBWarehouse:
    """Tables in a DuckDB file, in the schemas persona and thelook_ecommerce.

    path: the file, made when first written; wait_seconds: how long to wait for another process;
    memory: what DuckDB may hold, such as 700MB, before it goes on on disk beside the file;
    layouts: by table name, the columns whose equal values lie together in a table that is created.
    """

    kind = "duckdb"

    def __init__(
        self,
        path: Path,
        wait_seconds: float = 60,
        memory: str = "700MB",
        layouts: Mapping[str, Layout] | None = None,
    ) -> None:
        self.layouts = layouts or {}
        self.path = Path(path)
        self.place = str(path)
        self.memory = memory
        self.wait_seconds = wait_seconds
        self._engine: _Engine | None = None

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The open file; raises WarehouseBusy when another process keeps it too long."""
        self._engine = engine = _find_engine(self.path)
        deadline = time.monotonic() + self.wait_seconds
        while True:
            try:
                connection = engine.open()
                break
            except (duckdb.IOException, duckdb.BinderException) as error:
                holder = _HOLDER.search(str(error))
                if not holder:
                    raise PersonaError(
                        f"The warehouse {self.path} cannot be opened: "
                        f"{str(error).splitlines()[0]}"
                    ) from None
                if time.monotonic() > deadline:
                    raise WarehouseBusy(
                        f"The warehouse {self.path} is held by process {holder['pid']} "
                        f"({holder['program']}): wait until it has finished or stop it."
                    ) from None
                time.sleep(0.1)
        try:
            connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
            connection.execute("SET force_compression = 'zstd'; SET enable_progress_bar = false")
            connection.execute("SET memory_limit = $memory", {"memory": self.memory})
            for schema in (OUR_DATASET, SOURCE_DATASET):
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            yield connection
        finally:
            engine.close(connection)

    def create(self, table: str, query: Query, parameters: Mapping[str, Any]) -> Receipt:
        start = time.perf_counter()
        name = _name(table).sql("duckdb")
        select, values = query.to_duckdb(parameters)
        layout = self.layouts.get(table)
        by = ", ".join(map(_column, layout.cluster_by if layout else ()))
        lying = f"ORDER BY {by}" if by else ""
        with self.connect() as connection:
            connection.execute(
                f"CREATE OR REPLACE TABLE {name} AS FROM ({select}) {lying}", values
            )
            rows = _count(connection, table)
        return Receipt(self.address(table), rows, time.perf_counter() - start)

    def replace(
        self,
        table: str,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        where: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Receipt:
        with _spool(self.path.parent, schema, batches) as file:
            start = time.perf_counter()
            name = _name(table).sql("duckdb")
            with self.connect() as connection, _transaction(connection):
                if where is None:
                    connection.execute(
                        f"CREATE OR REPLACE TABLE {name} AS FROM read_parquet($file)",
                        {"file": str(file)},
                    )
                    rows = _count(connection, table)
                else:
                    ((column, value),) = where.items()
                    self._create_if_absent(connection, table, schema, file)
                    connection.execute(
                        f"DELETE FROM {name} WHERE {_column(column)} = $value", {"value": value}
                    )
                    if key is not None:
                        connection.execute(
                            f"DELETE FROM {name} WHERE {_column(key)} IN "
                            f"(SELECT {_column(key)} FROM read_parquet($file))",
                            {"file": str(file)},
                        )
                    rows = self._insert(connection, name, file)
        return Receipt(self.address(table), rows, time.perf_counter() - start)

    def append(
        self,
        table: str,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        key: Sequence[str] = (),
    ) -> Receipt:
        with _spool(self.path.parent, schema, batches) as file:
            start = time.perf_counter()
            name = _name(table).sql("duckdb")
            with self.connect() as connection, _transaction(connection):
                self._create_if_absent(connection, table, schema, file)
                rows = self._insert(connection, name, file, key)
        return Receipt(self.address(table), rows, time.perf_counter() - start)

    def read(self, query: Query, parameters: Mapping[str, Any]) -> pa.Table:
        with self.connect() as connection:
            cursor = connection.execute(*query.to_duckdb(parameters))
            return cursor.to_arrow_table()

    def stream(
        self, query: Query, parameters: Mapping[str, Any], rows: int
    ) -> Iterator[pa.RecordBatch]:
        with tempfile.TemporaryDirectory(prefix=".read-", dir=self.path.parent) as folder:
            file = str(Path(folder) / "rows.arrow")
            with self.connect() as connection:
                reader = connection.execute(
                    *query.to_duckdb(parameters)
                ).to_arrow_reader(rows)
                with pa.OSFile(file, "wb") as sink, pa.ipc.new_stream(sink, reader.schema) as kept:
                    for batch in reader:
                        kept.write_batch(batch)
            with pa.OSFile(file) as source, pa.ipc.open_stream(source) as kept:
                yield from kept

    def exists(self, table: str) -> bool:
        if not self.path.exists():
            return False
        with self.connect() as connection:
            found = connection.execute(
                "SELECT 1 FROM information_schema.tables "
                "WHERE table_schema = $schema AND table_name = $table",
                {"schema": OUR_DATASET, "table": table},
            ).fetchone()
        return found is not None

    @contextmanager
    def ibis_table(self, table: str, dataset: str = OUR_DATASET) -> Iterator[ibis.Table]:
        with self.connect() as connection:
            yield ibis.duckdb.from_connection(connection).table(table, database=dataset)

    def fingerprint(
        self,
        table: str,
        columns: Sequence[str],
        dataset: str = OUR_DATASET,
        where: Mapping[str, str] | None = None,
    ) -> str:
        name = _name(table, dataset).sql("duckdb")
        kept = " AND ".join(f"{_column(column)} = ${column}" for column in where or {})
        with self.connect() as connection:
            (total,) = connection.execute(
                "SELECT COALESCE(SUM(HASH(part)::HUGEINT), 0) "
                f"FROM (SELECT {', '.join(map(_column, columns))} FROM {name} "
                f"WHERE {kept or 'TRUE'}) AS part",
                dict(where or {}),
            ).fetchone()
        return f"{total % 2**64:016x}"

    def address(self, table: str, dataset: str = OUR_DATASET) -> str:
        return f"{self.path.stem}.{dataset}.{table}"

    def load(self, selects: Mapping[str, str]) -> dict[str, Receipt]:
        """Replace source tables, all in one transaction.

        selects: a SELECT in DuckDB's dialect by table name. Returns a receipt by table name.
        """
        done = {}
        with self.connect() as connection, _transaction(connection):
            for table, select in selects.items():
                start = time.perf_counter()
                name = _name(table, SOURCE_DATASET).sql("duckdb")
                connection.execute(f"CREATE OR REPLACE TABLE {name} AS {select}")
                (rows,) = connection.execute(f"SELECT COUNT(*) FROM {name}").fetchone()
                done[table] = Receipt(
                    self.address(table, SOURCE_DATASET), rows, time.perf_counter() - start
                )
        return done

    def _create_if_absent(
        self, connection: duckdb.DuckDBPyConnection, table: str, schema: pa.Schema, file: Path
    ) -> None:
        name = _name(table).sql("duckdb")
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {name} AS FROM read_parquet($file) LIMIT 0",
            {"file": str(file)},
        )
        there = {column for column, *_ in connection.execute(f"DESCRIBE {name}").fetchall()}
        if strange := there ^ {*schema.names}:
            raise PersonaError(
                f"The table {self.address(table)} in {self.path} is of another version, with or "
                f"without {', '.join(sorted(strange))}: move {self.path.parent} away, or set "
                "PERSONA_HOME to another folder, and run again."
            )

    @staticmethod
    def _insert(connection, name: str, file: Path, key: Sequence[str] = ()) -> int:
        known = f"ANTI JOIN {name} USING ({', '.join(map(_column, key))})" if key else ""
        return connection.execute(
            f"INSERT INTO {name} BY NAME FROM read_parquet($file) {known}", {"file": str(file)}
        ).fetchone()[0]


def _name(table: str, dataset: str = OUR_DATASET) -> exp.Table:
    return exp.table_(table, db=dataset, quoted=True)


def _column(name: str) -> str:
    return exp.to_identifier(name, quoted=True).sql("duckdb")


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return connection.execute(f"SELECT COUNT(*) FROM {_name(table).sql('duckdb')}").fetchone()[0]


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


@contextmanager
def _spool(
    folder: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]
) -> Iterator[Path]:
    """The batches as a Parquet file that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=".write-", dir=folder) as temporary:
        file = Path(temporary) / "rows.parquet"
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
        yield file
