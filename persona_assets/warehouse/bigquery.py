"""The warehouse for production: BigQuery, where every write is one job that does all or nothing.

Queries become CREATE OR REPLACE TABLE AS. Rows that come from here are loaded as Parquet into a
staging table, and from there brought into the table in one statement: CREATE OR REPLACE for a whole
table, MERGE for a part of one.
"""

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import requests
from google.api_core import exceptions
from google.cloud import bigquery
from ibis.backends.bigquery import Backend
from sqlglot import exp

from persona_assets.errors import InputError
from persona_assets.warehouse.base import OUR_DATASET, SOURCE_DATASET, Layout, Receipt
from persona_assets.warehouse.googlesql import Query, read_query
from persona_assets.warehouse.jobs import EMULATOR, Jobs

STAGING_DAYS = 1
FILE_BYTES = 200_000_000  # of Arrow in one staged file
# The service answers with the older names of some types.
_GOOGLESQL = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}
_UNUSED = object()  # Ibis makes a client of the Storage API unless it gets one
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Observed:
    """A source table as the service describes it, without reading it."""

    address: str
    rows: int
    modified: datetime


class BigQueryWarehouse:
    """Tables in a dataset of BigQuery; the source in another one, of any project.

    source: project.dataset of the five tables; layouts: by table name, what to tell BigQuery about
    the tables that are made; uploads: how often an upload that fails is tried again.
    """

    kind = "bigquery"

    def __init__(
        self,
        jobs: Jobs,
        project: str,
        dataset: str,
        source: str,
        location: str,
        layouts: Mapping[str, Layout] | None = None,
        uploads: int = 4,
    ) -> None:
        self.jobs = jobs
        self.location = location
        self.place = f"{project}.{dataset}"
        self.layouts = layouts or {}
        self.uploads = uploads
        self._datasets = {
            OUR_DATASET: (project, dataset),
            SOURCE_DATASET: tuple(source.rsplit(".", 1)),
        }
        self._ensured: set[str] = set()

    def create(self, table: str, query: Query, parameters: Mapping[str, Any]) -> Receipt:
        start = time.perf_counter()
        values = query.bind(parameters)
        self.ensure_dataset()
        job, done = self.jobs.query(self.statement(table, query), values, _file(query))
        rows = self._found(job.destination).num_rows
        return Receipt(self.address(table), rows, time.perf_counter() - start, done)

    def replace(
        self,
        table: str,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        where: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Receipt:
        if where is None:
            return self._replace(table, schema, batches)
        ((column, value),) = where.items()
        return self._merge(
            table,
            schema,
            batches,
            lambda target, staging: exchange(target, staging, schema.names, column, key),
            {"value": value},
        )

    def append(
        self,
        table: str,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        key: Sequence[str] = (),
    ) -> Receipt:
        drawn = iter(batches)
        first = next(drawn, None)
        if first is None:
            self.ensure_dataset()
            self._create_if_absent(table, schema)
            return Receipt(self.address(table), 0, 0.0)
        return self._merge(
            table,
            schema,
            chain([first], drawn),
            lambda target, staging: add(target, staging, schema.names, key),
        )

    def read(self, query: Query, parameters: Mapping[str, Any]) -> pa.Table:
        return self._fetch(self.text(query), query.bind(parameters), _file(query))

    def stream(
        self, query: Query, parameters: Mapping[str, Any], rows: int
    ) -> Iterator[pa.RecordBatch]:
        job, _ = self.jobs.query(self.text(query), query.bind(parameters), _file(query))
        with self.jobs.explained(_file(query)):
            yield from _rebatched(self._batches(lambda: self._rows(job)), rows)

    def exists(self, table: str) -> bool:
        return self._found(self._reference(table)) is not None

    @contextmanager
    def ibis_table(self, table: str, dataset: str = OUR_DATASET) -> Iterator[ibis.Table]:
        what = f"the table {self.address(table, dataset)}"

        def fetch(statement: str) -> pa.Table:
            return self._fetch(statement, {}, what)

        with self.jobs.explained(what):
            backend = _Computed().connect(client=self.jobs.new_client(), storage_client=_UNUSED)
            backend.fetch = fetch
            backend.ours = bigquery.DatasetReference(*self._datasets[OUR_DATASET])
            yield backend.table(table, database=self._datasets[dataset])

    def fingerprint(
        self,
        table: str,
        columns: Sequence[str],
        dataset: str = OUR_DATASET,
        where: Mapping[str, str] | None = None,
    ) -> str:
        part = exp.select(*map(_column, columns)).from_(self._table(table, dataset))
        for column in where or {}:
            value = exp.Parameter(this=exp.var(column))
            part = part.where(exp.column(_column(column)).eq(value))
        row = exp.func("FARM_FINGERPRINT", exp.func("TO_JSON_STRING", exp.column("part")))
        # In halves, so that no sum of INT64 is too large.
        halves = [exp.func(name, row.copy(), exp.Literal.number(2**32)) for name in ("DIV", "MOD")]
        sums = [exp.func("SUM", half).as_(f"half_{place}") for place, half in enumerate(halves)]
        statement = exp.select(*sums).from_(part.subquery("part"))
        found = self._fetch(
            statement.sql("bigquery"),
            dict(where or {}),
            f"the fingerprint of {self.address(table, dataset)}",
        )
        return sha256(repr(found.to_pylist()).encode()).hexdigest()[:16]

    def address(self, table: str, dataset: str = OUR_DATASET) -> str:
        return ".".join((*self._datasets[dataset], table))

    def observe(self, tables: Iterable[str]) -> dict[str, Observed]:
        """Rows and last change of source tables, by name, as BigQuery keeps them.

        Raises InputError when one is not there.
        """
        found = {}
        for table in tables:
            kept = self._found(self._reference(table, SOURCE_DATASET))
            address = self.address(table, SOURCE_DATASET)
            if kept is None:
                raise InputError(
                    f"The source has no table {address}: set PERSONA_BIGQUERY_SOURCE to the "
                    "project.dataset that has it."
                )
            found[table] = Observed(address, kept.num_rows or 0, kept.modified)
        return found

    def inspect_source(self, needed: Mapping[str, pa.Schema]) -> None:
        """Raise InputError, one line per problem, unless the source is in our location and its
        tables have the needed columns with the needed types. Reads no rows."""
        problems = []
        located = self.located(SOURCE_DATASET)
        if located is None:
            raise InputError(
                f"There is no dataset {'.'.join(self._datasets[SOURCE_DATASET])}: set "
                "PERSONA_BIGQUERY_SOURCE to the project.dataset of the five tables."
            )
        if located != self.location.upper():
            problems.append(
                f"The source is in {located} and PERSONA_BIGQUERY_LOCATION is {self.location}: "
                "BigQuery joins within one location only; use the same for both."
            )
        for table, schema in needed.items():
            problems += self._problems(table, schema)
        if problems:
            raise InputError("\n".join(problems))

    def try_job(self) -> None:
        """Raise PersonaError unless the account may run a job; the job costs nothing."""
        self.jobs.price(exp.select("1").sql("bigquery"), {}, "a job that reads nothing")

    def inspect_dataset(self) -> str | None:
        """What is to say about our dataset beside its name. Raises InputError when it is in
        another location than the settings say."""
        if self.located(OUR_DATASET) is None:
            return f"{self.place} is not there yet: the first run makes it in {self.location}"
        self.ensure_dataset()
        return None

    def load_source(
        self, table: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]
    ) -> Receipt:
        """Replace a table of the source's dataset, for a shop that is not in BigQuery yet."""
        return self._replace(table, schema, batches, SOURCE_DATASET)

    def generate(
        self,
        query: Query,
        asked: pa.Table,
        names: Mapping[str, str],
        answers: str,
    ) -> Receipt:
        """Put the rows that are asked into persona.asked of a query that has a model answer them,
        and what it gives into the table `answers`, which is gone after STAGING_DAYS.

        `names`: what persona.asked and the models are called in the dataset; that of persona.asked
        is added. The job runs once, whatever happens to it: nobody knows what of a job that failed
        is charged.
        """
        start = time.perf_counter()
        with self._staged("asked", asked.schema, asked.to_batches()) as (staging, _):
            select = query.pointed(self._datasets, {**names, "asked": staging.name})
            ends = datetime.now(UTC) + timedelta(days=STAGING_DAYS)
            statement = exp.Create(
                this=self._table(answers),
                kind="TABLE",
                replace=True,
                properties=exp.Properties(expressions=[_option("expiration_timestamp", ends)]),
                expression=select,
            )
            job, done = self.jobs.query(
                statement.sql("bigquery", comments=False), {}, _file(query), again=False
            )
        rows = self._found(job.destination).num_rows
        return Receipt(self.address(answers), rows, time.perf_counter() - start, done)

    def names(self, prefix: str) -> list[str]:
        """Our tables whose name begins like this."""
        with self.jobs.explained(f"the dataset {self.place}"):
            try:
                found = self.jobs.client.list_tables(self.place, **self.jobs.bounds)
                return sorted(t.table_id for t in found if t.table_id.startswith(prefix))
            except exceptions.NotFound:
                return []

    def rows(self, table: str, schema: pa.Schema, rows: int) -> Iterator[pa.RecordBatch]:
        """These columns of one of our tables, in batches; read as they are, without a job."""
        what = f"the table {self.address(table)}"
        with self.jobs.explained(what):
            client = self.jobs.client
            found = client.get_table(self._reference(table), **self.jobs.bounds)
            wanted = [field for field in found.schema if field.name in schema.names]

            def listed() -> bigquery.table.RowIterator:
                return client.list_rows(found, selected_fields=wanted, **self.jobs.bounds)

            yield from _rebatched(self._batches(listed), rows)

    def drop(self, table: str) -> None:
        """Remove one of our tables, if it is there."""
        with self.jobs.explained(f"the table {self.address(table)}"):
            self.jobs.client.delete_table(
                self._reference(table), not_found_ok=True, **self.jobs.bounds
            )

    def text(self, query: Query) -> str:
        """The query as it is sent: its datasets are those of the settings."""
        return query.pointed(self._datasets).sql("bigquery", comments=False)

    def find_model(self, name: str) -> Mapping[str, Any] | None:
        """What the service keeps about a remote model of our dataset (connection, endpoint, …);
        None where there is no such model."""
        reference = bigquery.DatasetReference(*self._datasets[OUR_DATASET]).model(name)
        with self.jobs.explained(f"the model {self.address(name)}"):
            try:
                found = self.jobs.client.get_model(reference, **self.jobs.bounds)
            except exceptions.NotFound:
                return None
        return found.to_api_repr().get("remoteModelInfo", {})

    def remote_model(self, name: str, connection: Sequence[str], endpoint: str) -> str:
        """CREATE OR REPLACE MODEL in our dataset, called through the connection (project,
        location, name)."""
        create = read_query("setup/remote_model").tree.copy()
        create.set("this", self._table(name))
        remote = create.find(exp.RemoteWithConnectionModelProperty)
        project, location, connected = connection
        remote.set("this", exp.table_(connected, db=location, catalog=project, quoted=True))
        create.find(exp.Literal).replace(exp.Literal.string(endpoint))
        return create.sql("bigquery", comments=False)

    def statement(self, table: str, query: Query) -> str:
        """CREATE OR REPLACE TABLE AS, with what the layout says."""
        return self._create(table, query.pointed(self._datasets), OUR_DATASET)

    def _create(self, table: str, select: exp.Expression, dataset: str) -> str:
        target: exp.Expression = self._table(table, dataset)
        layout = self._layout(table, dataset)
        properties: list[exp.Expression] = []
        if layout is not None:
            if select.named_selects != layout.schema.names:
                raise ValueError(
                    f"The table {table} has the columns {layout.schema.names}, and what is to "
                    f"become it has {select.named_selects}"
                )
            target = exp.Schema(this=target, expressions=[*_columns(layout)])
            if layout.cluster_by:
                columns = [_column(name) for name in layout.cluster_by]
                properties.append(exp.ClusterProperty(expressions=columns))
            properties.append(_option("description", layout.description))
        return exp.Create(
            this=target,
            kind="TABLE",
            replace=True,
            properties=exp.Properties(expressions=properties) if properties else None,
            expression=select,
        ).sql("bigquery", comments=False)

    def _layout(self, table: str, dataset: str = OUR_DATASET) -> Layout | None:
        return self.layouts.get(table) if dataset == OUR_DATASET else None

    def _fetch(self, statement: str, parameters: Mapping[str, Any], what: str) -> pa.Table:
        job, _ = self.jobs.query(statement, parameters, what)

        def through(storage: Any) -> pa.Table:
            return self._rows(job).to_arrow(bqstorage_client=storage, create_bqstorage_client=False)

        with self.jobs.explained(what):
            return _plain(self._storage_or_rest(through))

    def _batches(
        self, rows: Callable[[], bigquery.table.RowIterator]
    ) -> Iterator[pa.RecordBatch]:
        """The rows, little of them at a time."""

        def through(storage: Any) -> Iterator[pa.RecordBatch]:
            batches = rows().to_arrow_iterable(bqstorage_client=storage, max_queue_size=1)
            first = next(batches, None)  # so that a refusal shows here
            return batches if first is None else chain([first], batches)

        return self._storage_or_rest(through)

    def _rows(self, job: bigquery.QueryJob) -> bigquery.table.RowIterator:
        return job.result(job_retry=None, **self.jobs.bounds)

    def _storage_or_rest(self, through: Callable[[Any], _Result]) -> _Result:
        """What `through` gives with the Storage API, or without it where it is refused."""
        if self._storage is not None:
            try:
                return through(self._storage)
            except exceptions.GoogleAPICallError as error:
                _log.warning("Reading by REST, because the Storage API says: %s", error.message)
                self._storage = None
        return through(None)

    @cached_property
    def _storage(self) -> Any:
        """The client of the Storage API, which reads many times faster than REST; None where it is
        not installed, and for the emulator, whose results it cannot read."""
        if os.environ.get(EMULATOR):
            return None
        try:
            from google.cloud.bigquery_storage import BigQueryReadClient
        except ImportError:
            return None
        with self.jobs.explained("signing in"):
            return BigQueryReadClient()

    def _replace(
        self,
        table: str,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        dataset: str = OUR_DATASET,
    ) -> Receipt:
        with self._staged(table, schema, batches, dataset) as (staging, rows):
            start = time.perf_counter()
            layout = self._layout(table, dataset)
            names = layout.schema.names if layout is not None else schema.names
            select = exp.select(*map(_column, names)).from_(staging)
            address = self.address(table, dataset)
            _, done = self.jobs.query(
                self._create(table, select, dataset), {}, f"the table {address}"
            )
        return Receipt(address, rows, time.perf_counter() - start, done)

    def _merge(
        self,
        table: str,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        merge: Callable[[exp.Table, exp.Table], exp.Merge],
        parameters: Mapping[str, Any] | None = None,
    ) -> Receipt:
        with self._staged(table, schema, batches) as (staging, rows):
            start = time.perf_counter()
            self._create_if_absent(table, schema)
            job, done = self.jobs.query(
                merge(self._table(table), staging).sql("bigquery"),
                parameters or {},
                f"the table {self.address(table)}",
            )
        # An exchange affects the old rows too; it puts in all the new ones.
        rows = rows if parameters else job.num_dml_affected_rows
        return Receipt(self.address(table), rows, time.perf_counter() - start, done)

    @contextmanager
    def _staged(
        self,
        table: str,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        dataset: str = OUR_DATASET,
    ) -> Iterator[tuple[exp.Table, int]]:
        """The batches in a table that is gone afterwards, at the latest after STAGING_DAYS."""
        self.ensure_dataset(dataset)
        name = f"_staging_{table}_{uuid4().hex[:12]}"
        staging = self._reference(name, dataset)
        made = bigquery.Table(staging, schema=_fields(schema))
        made.expires = datetime.now(UTC) + timedelta(days=STAGING_DAYS)
        with self.jobs.explained(f"the table {staging}"):
            self.jobs.client.create_table(made, **self.jobs.bounds)
        try:
            rows = 0
            for file, count in _files(schema, batches):
                self._load(file, staging, schema)
                rows += count
            yield self._table(name, dataset), rows
        finally:
            try:
                self.jobs.client.delete_table(staging, not_found_ok=True, **self.jobs.bounds)
            except (exceptions.GoogleAPICallError, requests.RequestException) as error:
                _log.warning("%s stays until it expires: %s", staging, error)

    def _load(self, file: Path, table: bigquery.TableReference, schema: pa.Schema) -> None:
        what = f"loading into {table}"
        options = bigquery.ParquetOptions()
        options.enable_list_inference = True
        config = self.jobs.load_config(
            what,
            source_format=bigquery.SourceFormat.PARQUET,
            parquet_options=options,
            schema=_fields(schema),
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
        )

        def start() -> bigquery.LoadJob:
            name = f"persona_{uuid4().hex}"
            with file.open("rb") as rows:
                try:
                    return self.jobs.client.load_table_from_file(
                        rows,
                        table,
                        num_retries=self.uploads,
                        job_id=name,
                        job_config=config,
                        timeout=self.jobs.request_seconds,
                    )
                except exceptions.Conflict:  # an answer was lost, and the job is there already
                    return self.jobs.client.get_job(name, **self.jobs.bounds)

        self.jobs.finish(start, what)

    def _create_if_absent(self, table: str, schema: pa.Schema) -> None:
        layout = self.layouts.get(table)
        made = bigquery.Table(self._reference(table), schema=_fields(schema, layout))
        if layout is not None:
            made.description = layout.description
            made.clustering_fields = list(layout.cluster_by) or None
        with self.jobs.explained(f"the table {self.address(table)}"):
            self.jobs.client.create_table(made, exists_ok=True, **self.jobs.bounds)

    def ensure_dataset(self, dataset: str = OUR_DATASET) -> None:
        """Create the dataset in our location. Raises InputError when it is in another one."""
        if dataset in self._ensured:
            return
        name = ".".join(self._datasets[dataset])
        located = self.located(dataset)
        if located is None:
            made = bigquery.Dataset(name)
            made.location = self.location
            project = self._datasets[dataset][0]
            needs = f"roles/bigquery.user on the project {project}, to make datasets"
            with self.jobs.explained(f"the dataset {name}", needs):
                self.jobs.client.create_dataset(made, exists_ok=True, **self.jobs.bounds)
        elif located != self.location.upper():
            setting = "DATASET" if dataset == OUR_DATASET else "SOURCE"
            raise InputError(
                f"The dataset {name} is in {located} and PERSONA_BIGQUERY_LOCATION is "
                f"{self.location}: set it to {located}, or PERSONA_BIGQUERY_{setting} to another "
                "dataset."
            )
        self._ensured.add(dataset)

    def located(self, dataset: str) -> str | None:
        """The location of a dataset, in capitals; None where there is no such dataset."""
        name = ".".join(self._datasets[dataset])
        with self.jobs.explained(f"the dataset {name}"):
            try:
                return self.jobs.client.get_dataset(name, **self.jobs.bounds).location.upper()
            except exceptions.NotFound:
                return None

    def _found(self, reference: bigquery.TableReference) -> bigquery.Table | None:
        with self.jobs.explained(f"the table {reference}"):
            try:
                return self.jobs.client.get_table(reference, **self.jobs.bounds)
            except exceptions.NotFound:
                return None

    def _problems(self, table: str, schema: pa.Schema) -> list[str]:
        address = self.address(table, SOURCE_DATASET)
        found = self._found(self._reference(table, SOURCE_DATASET))
        if found is None:
            return [f"{address}: the table {table} is missing."]
        there = {field.name: field for field in found.schema}
        problems = []
        for wanted in _fields(schema):
            field = there.get(wanted.name)
            if field is None:
                problems.append(f"{address}: table {table} has no column {wanted.name}.")
                continue
            kind = _GOOGLESQL.get(field.field_type, field.field_type)
            if field.mode == "REPEATED":
                kind = f"ARRAY<{kind}>"
            if kind != wanted.field_type:
                problems.append(
                    f"{address}: table {table}, column {field.name} is {kind}; it must be "
                    f"{wanted.field_type}: make a view that casts it."
                )
        return problems

    def _reference(self, table: str, dataset: str = OUR_DATASET) -> bigquery.TableReference:
        return bigquery.DatasetReference(*self._datasets[dataset]).table(table)

    def _table(self, table: str, dataset: str = OUR_DATASET) -> exp.Table:
        project, name = self._datasets[dataset]
        return exp.table_(table, db=name, catalog=project, quoted=True)


class _Computed(Backend):
    """Ibis' BigQuery, with every query run, priced, bounded and labelled by ours."""

    fetch: Callable[[str], pa.Table]
    ours: bigquery.DatasetReference

    @property
    def _session_dataset(self) -> bigquery.DatasetReference:
        """Where Ibis would put tables of its own; finding another place costs a query."""
        return self.ours

    def raw_sql(self, query: Any, params: Any = None, query_job_config: Any = None) -> "_Answer":
        return _Answer(self.fetch(query if isinstance(query, str) else query.sql("bigquery")))


@dataclass(frozen=True)
class _Answer:
    """What Ibis asks of the rows of a query."""

    table: pa.Table

    def to_arrow(self, **_: Any) -> pa.Table:
        return self.table

    def to_arrow_iterable(self, **_: Any) -> Iterator[pa.RecordBatch]:
        return iter(self.table.to_batches())


def _file(query: Query) -> str:
    return f"sql/{query.name}.sql"


def _column(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=True)


def _option(name: str, value: str | datetime) -> exp.Property:
    literal: exp.Expression = exp.Literal.string(str(value))
    if isinstance(value, datetime):
        literal = exp.Introducer(this=exp.var("TIMESTAMP"), expression=literal)
    return exp.Property(this=exp.var(name), value=literal)


def _columns(layout: Layout) -> Iterator[exp.ColumnDef]:
    for field in _fields(layout.schema):
        kind = f"ARRAY<{field.field_type}>" if field.mode == "REPEATED" else field.field_type
        said = exp.Properties(
            expressions=[_option("description", layout.columns.get(field.name, ""))]
        )
        yield exp.ColumnDef(
            this=_column(field.name),
            kind=exp.DataType.build(kind, dialect="bigquery"),
            constraints=[exp.ColumnConstraint(kind=said)],
        )


def _fields(schema: pa.Schema, layout: Layout | None = None) -> list[bigquery.SchemaField]:
    described = layout.columns if layout is not None else {}
    fields = []
    for column in schema:
        repeated = pa.types.is_list(column.type)
        kind = column.type.value_type if repeated else column.type
        fields.append(
            bigquery.SchemaField(
                column.name,
                _type(kind),
                "REPEATED" if repeated else "NULLABLE",
                description=described.get(column.name),
            )
        )
    return fields


def _type(kind: pa.DataType) -> str:
    """The type in GoogleSQL. Raises TypeError for one that we have no use for."""
    named = {
        pa.int64(): "INT64",
        pa.float64(): "FLOAT64",
        pa.string(): "STRING",
        pa.bool_(): "BOOL",
        pa.date32(): "DATE",
    }
    if pa.types.is_timestamp(kind) and kind.tz == "UTC":
        return "TIMESTAMP"
    if kind not in named:
        raise TypeError(f"{kind} is not a type that we write to BigQuery")
    return named[kind]


def exchange(
    target: exp.Table, source: exp.Table, names: Sequence[str], column: str, key: str | None
) -> exp.Merge:
    """A MERGE that takes out the rows with column = @value, and those with a new row's key, and
    puts the new rows in."""
    old = exp.column(_column(column), table="old").eq(exp.Parameter(this=exp.var("value")))
    if key is not None:
        keys = exp.select(_column(key)).from_(source.copy())
        old = exp.or_(old, exp.column(_column(key), table="old").isin(query=keys))
    delete = exp.When(matched=False, source=True, condition=old, then=exp.var("DELETE"))
    return _merge_of(target, source, exp.false(), delete, _insert(names))


def add(
    target: exp.Table, source: exp.Table, names: Sequence[str], key: Sequence[str]
) -> exp.Merge:
    """A MERGE that puts in the new rows whose key, if there is one, is not there yet."""
    same = [
        exp.column(_column(name), table="old").eq(exp.column(_column(name), table="new"))
        for name in key
    ]
    return _merge_of(target, source, exp.and_(*same) if same else exp.false(), _insert(names))


def _insert(names: Sequence[str]) -> exp.When:
    into = exp.Tuple(expressions=[_column(name) for name in names])
    values = exp.Tuple(expressions=[exp.column(_column(name), table="new") for name in names])
    insert = exp.Insert(this=into, expression=values)
    return exp.When(matched=False, source=False, then=insert)


def _merge_of(
    target: exp.Table, source: exp.Table, on: exp.Expression, *whens: exp.When
) -> exp.Merge:
    return exp.Merge(
        this=exp.alias_(target, "old", table=True),
        using=exp.alias_(source, "new", table=True),
        on=on,
        whens=exp.Whens(expressions=[*whens]),
    )


def _files(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Path, int]]:
    """The batches as Parquet files of bounded size, one at a time, each with its rows."""
    with tempfile.TemporaryDirectory(prefix="persona-write-") as folder:
        file = Path(folder) / "rows.parquet"
        remaining = iter(batches)
        for first in remaining:
            size = rows = 0
            with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                for batch in chain([first], remaining):
                    writer.write_batch(batch)
                    size += batch.nbytes
                    rows += batch.num_rows
                    if size >= FILE_BYTES:
                        break
            yield file, rows


def _plain(table: pa.Table) -> pa.Table:
    """The table with columns as ours are: any may be NULL, none says more about its type."""
    fields = [pa.field(field.name, field.type) for field in table.schema]
    return table.cast(pa.schema(fields))


def _rebatched(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of `rows`; the last may have fewer."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        if count >= rows:
            table = _plain(pa.Table.from_batches(waiting)).combine_chunks()
            full = count - count % rows
            yield from table.slice(0, full).to_batches(max_chunksize=rows)
            waiting, count = table.slice(full).to_batches(), count - full
    if count:
        yield from _plain(pa.Table.from_batches(waiting)).combine_chunks().to_batches()
