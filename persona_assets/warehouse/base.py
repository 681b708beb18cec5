"""What a warehouse does for the assets: run GoogleSQL, read rows, replace tables."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import ibis
import pyarrow as pa

from persona_assets.warehouse.googlesql import Query

OUR_DATASET = "persona"
SOURCE_DATASET = "thelook_ecommerce"


@dataclass(frozen=True)
class Job:
    """What a job of a warehouse that bills did: id, page in its console, bytes that it was
    expected to read, read and billed, milliseconds of slots, USD. None where it does not say."""

    id: str
    link: str
    bytes_expected: int | None = None
    bytes_processed: int | None = None
    bytes_billed: int | None = None
    slot_ms: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True)
class Receipt:
    """What a write did: table name, rows in it (or in the replaced part), seconds it took, and the
    job that did it, in a warehouse that has jobs."""

    table: str
    rows: int
    seconds: float
    job: Job | None = None


@dataclass(frozen=True)
class Layout:
    """How a table is to be made where a warehouse can say so: its columns and types, what it and
    they mean, and the columns whose equal values should lie together."""

    schema: pa.Schema
    description: str
    columns: Mapping[str, str] = field(default_factory=dict)
    cluster_by: tuple[str, ...] = ()


class Warehouse(Protocol):
    """Tables are named without their dataset and live in the dataset `persona`."""

    kind: str
    place: str

    def create(self, table: str, query: Query, parameters: Mapping[str, Any]) -> Receipt:
        """Create the table from the query's rows, or replace it, in one step."""

    def replace(
        self,
        table: str,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        where: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Create the table from batches, or replace it, in one step. With `where`, replace only
        the rows whose column has that value, and those with the same `key` as a new row, wherever
        they are. The batches are drawn before anything is locked."""

    def append(
        self,
        table: str,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        key: Sequence[str] = (),
    ) -> Receipt:
        """Add rows in one step; an absent table is created. With `key`, rows whose values in
        these columns are there already are left out."""

    def read(self, query: Query, parameters: Mapping[str, Any]) -> pa.Table:
        """All rows of a query that has few."""

    def stream(
        self, query: Query, parameters: Mapping[str, Any], rows: int
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a query in batches; no lock is held while the caller works on one."""

    def exists(self, table: str) -> bool:
        """Whether the table is there."""

    def ibis_table(
        self, table: str, dataset: str = OUR_DATASET
    ) -> AbstractContextManager[ibis.Table]:
        """The table as an Ibis expression that is computed inside the warehouse."""

    def fingerprint(
        self,
        table: str,
        columns: Sequence[str],
        dataset: str = OUR_DATASET,
        where: Mapping[str, str] | None = None,
    ) -> str:
        """A hash of what these columns hold, in all rows or, with `where`, in those whose column
        has that value: the same whatever the order of the rows, computed in the warehouse."""

    def address(self, table: str, dataset: str = OUR_DATASET) -> str:
        """The table's full name, as a person would look it up."""
