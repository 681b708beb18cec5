"""What one run reads, writes and costs on BigQuery with more customers than fit here: arithmetic
from a small shop.

A sample shop is run through the whole graph in DuckDB. From its tables come the mean bytes of each
column, at the sizes that BigQuery bills (https://cloud.google.com/bigquery/pricing#data), and the
rows per customer; from sql/ come the columns that each query reads; from the assets, how often it
is run. The product is scaled to more customers. What clustering saves is not taken off, so these
are upper bounds, as those of a dry run are.
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from figures import figures
from sqlglot import exp
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope

from persona_assets import schemas
from persona_assets.assets.drafting import BATCH
from persona_assets.checks import CLAIMS, WARNINGS
from persona_assets.languages import LANGUAGES
from persona_assets.run import run
from persona_assets.settings import load_settings
from persona_assets.warehouse import DuckDBWarehouse, Query, read_query
from persona_assets.warehouse.base import OUR_DATASET, SOURCE_DATASET
from persona_assets.warehouse.jobs import TIB

SIZES = (100_000, 10_000_000, 1_000_000_000)
USD_PER_TIB = 6.25
# Of an e-mail by a model, and of a model's price for a million of each, USD (docs/scale.md).
TOKENS = (350, 200)
PRICES = {"gemini-2.5-flash-lite": (0.10, 0.40), "gemini-2.5-flash": (0.30, 2.50)}
EACH = len(LANGUAGES)
# How often a run has each query, by step. A language asks for its pending prompts until none are
# left: twice for the writer, once for the templates that stand in for refused drafts.
STEPS = {
    "parametric": {"newest_order": 1, "parametric": 1, "oddities": 1},
    "cluster_metrics, centroids": {"buyer_count": 2, "fitting_sample": 2},
    "customer_segments": {"previous_segments": 1, "customer_segments": 1, "segment_moves": 1,
                          "segment_sizes": 1},
    "final_prompts": {"final_prompts": 1},
    "emails: what to write": {"pending_work": EACH, "pending_prompts": 3 * EACH,
                              "accepted_texts": EACH},
    "emails: putting together": {"emails": EACH},
    "emails: figures": {"email_work": EACH, "refused_drafts": EACH, "report/email_counts": EACH,
                        "report/newest_emails": EACH, "spent": EACH},
}  # fmt: skip
# The schema check of a table reads the columns that have a rule, and its key once more.
CHECKED = ("parametric", "customer_segments", "final_prompts", "emails")


@dataclass(frozen=True)
class Shop:
    """Mean bytes of each column of each table, and rows for each customer."""

    widths: dict[str, dict[str, float]]
    rows: dict[str, float]

    def bytes_of(self, table: str, columns: set[str] | None = None) -> float:
        """Bytes for each customer of these columns of a table, or of all."""
        widths = self.widths.get(table)
        if widths is None:  # it does not grow with the customers
            return 0.0
        wanted = widths if columns is None else columns
        return self.rows[table] * sum(widths[name] for name in wanted)

    def read_by(self, query: Query) -> float:
        """Bytes for each customer that a query reads."""
        return sum(self.bytes_of(table, columns) for table, columns in reads(query).items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="persona-bench-") as folder:
        settings = load_settings(home=Path(folder), sample_customers=arguments.customers)
        run(settings, [*LANGUAGES], None)
        warehouse = DuckDBWarehouse(settings.warehouse_file)
        shop = look_at(warehouse, arguments.customers)
    with figures() as report:
        print(f"\nA sample shop of {arguments.customers:,} customers: rows and bytes of each\n")
        for table, rows in sorted(shop.rows.items()):
            print(f"  {table:<20}{rows:>8.3f} rows {shop.bytes_of(table):>9.0f} bytes a customer")
        _steps(shop, report)
        _writes(shop, report)
        _model(shop, report)


def _steps(shop: Shop, report) -> None:
    print("\nBytes that a run reads, and dollars at $6.25 a TiB\n")
    _head("step")
    total = 0.0
    claims = {f"checks/{name}": EACH if table == "emails" else 1
              for name, table in {**CLAIMS, **WARNINGS}.items()}  # fmt: skip
    found = {
        step: sum(times * shop.read_by(read_query(name)) for name, times in queries.items())
        for step, queries in {**STEPS, "checks across tables": claims}.items()
    }
    found["checks of columns"] = sum(
        (EACH if table == "emails" else 1) * shop.bytes_of(table, columns)
        for table in CHECKED
        for columns in ruled(getattr(schemas, table))
    )
    for step, read in found.items():
        _row(step, read)
        total += read
    _row("all", total)
    report("scanned_by_a_run_per_customer", total, "bytes")


def _writes(shop: Shop, report) -> None:
    print("\nBytes that bringing rows in bills: e-mails by language, drafts in lots of "
          f"{BATCH:,}\n")  # fmt: skip
    _head("statement")
    target = shop.bytes_of("emails")
    staged = target  # each row once, over all languages
    first = staged + target * (EACH - 1) / 2
    again = staged + target * EACH
    _row("emails, first run", first)
    _row("emails, every later run", again)
    report("emails_merge_per_customer", again, "bytes")
    _row("drafts, first run", shop.bytes_of("drafts"))
    lots = [max(1.0, size * shop.rows["drafts"] / BATCH) for size in SIZES]
    print(f"{'  lots of drafts':<28}" + "".join(f"{lot:>24,.0f}" for lot in lots))


def _model(shop: Shop, report) -> None:
    print("\nTokens and dollars of a model, for a prompt that nobody else has\n")
    share = shop.rows["drafts"]
    report("distinct_prompts_per_customer", share, "prompts")
    for name, (asked, answered) in PRICES.items():
        usd = (TOKENS[0] * asked + TOKENS[1] * answered) / 1e6 * share
        print(f"{name:<28}" + "".join(f"{f'${usd * size:,.0f}':>24}" for size in SIZES))
    tokens = sum(TOKENS) * share
    print(f"{'tokens':<28}" + "".join(f"{tokens * size:>24,.3g}" for size in SIZES))


def _head(what: str) -> None:
    print(f"{what:<28}" + "".join(f"{f'{size:,}':>24}" for size in SIZES))


def _row(what: str, per_customer: float) -> None:
    print(f"{what:<28}" + "".join(_cell(per_customer * size) for size in SIZES))


def _cell(bytes_: float) -> str:
    return f"{f'{bytes_ / 1e9:,.1f} GB ${bytes_ / TIB * USD_PER_TIB:,.2f}':>24}"


def reads(query: Query) -> dict[str, set[str]]:
    """The columns of each table that a query reads."""
    schema: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for dataset, table in query.tables():
        names = schemas.columns(getattr(schemas, table))
        schema[dataset][table] = dict.fromkeys(names, "STRING")
    tree = qualify(query.tree.copy(), schema=schema, dialect="bigquery",
                   validate_qualify_columns=False)  # fmt: skip
    found: dict[str, set[str]] = {table: set() for _, table in query.tables()}
    for scope in traverse_scope(pushdown_projections(tree, schema=schema, dialect="bigquery")):
        for column in scope.columns:
            source = scope.sources.get(column.table)
            if isinstance(source, exp.Table) and column.name in schema[source.db][source.name]:
                found[source.name].add(column.name)
    return found


def ruled(model: type[schemas.Table]) -> tuple[set[str], set[str]]:
    """The columns that have a rule about their values, and the key."""
    columns = schemas.columns(model).items()
    return (
        {name for name, spec in columns if spec.checks or not spec.nullable},
        {*schemas.key(model)},
    )


def look_at(warehouse: DuckDBWarehouse, customers: int) -> Shop:
    widths, rows = {}, {}
    with warehouse.connect() as connection:
        for dataset, table in _tables():
            columns = schemas.arrow_schema(getattr(schemas, table))
            sizes = [f"AVG(COALESCE({_bytes(column)}, 0))" for column in columns]
            count, *means = connection.execute(
                f"SELECT COUNT(*), {', '.join(sizes)} FROM {dataset}.{table}"
            ).fetchone()
            widths[table] = dict(zip(columns.names, means, strict=True))
            rows[table] = count / customers
    return Shop(widths, rows)


def _tables() -> Iterator[tuple[str, str]]:
    """(dataset, table) of those that grow with the customers."""
    sources = {model.__name__ for model in schemas.SOURCES}
    fixed = {"countries", "suppression_list", "cluster_metrics", "centroids", "segment_labels",
             "products"}  # fmt: skip
    for model in schemas.Table.__subclasses__():
        name = model.__name__
        if name not in fixed:
            yield SOURCE_DATASET if name in sources else OUR_DATASET, name


def _bytes(column: pa.Field) -> str:
    """What BigQuery bills for a value, in DuckDB's SQL."""
    if pa.types.is_list(column.type):
        return f"LIST_SUM(LIST_TRANSFORM({column.name}, x -> 2 + STRLEN(x)))"
    if pa.types.is_string(column.type):
        return f"2 + STRLEN({column.name})"
    size = 1 if pa.types.is_boolean(column.type) else 8
    return f"IF({column.name} IS NULL, 0, {size})"


if __name__ == "__main__":
    main()
