"""Asset checks: every table against its pandera model, and the claims that cross tables.

All of them run inside the warehouse and block what comes after. A failure names the rule, how many
rows break it and up to five of them, with addresses masked.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import ibis
from pandera.config import ValidationDepth, config_context
from pandera.engines import ibis_engine
from pandera.errors import SchemaError, SchemaErrors

from persona_assets import schemas
from persona_assets.failures import told
from persona_assets.segmentation.name import RECENT_MONTHS, REPEAT_ORDERS
from persona_assets.settings import Settings
from persona_assets.source import CONSENT
from persona_assets.text import as_markdown
from persona_assets.warehouse import Query, Warehouse, read_query
from persona_assets.warehouse.base import OUR_DATASET, SOURCE_DATASET

_SHOWN = 5

# Each is a file in sql/checks that returns the rows that break the claim.
CLAIMS = {
    "every_customer_is_in_exactly_one_segment": "customer_segments",
    "every_segment_is_labelled": "segment_labels",
    "segment_labels_are_distinct": "segment_labels",
    "labels_agree_with_centroids": "segment_labels",
    "no_prompt_holds_an_address": "final_prompts",
    "no_suppressed_customer_has_a_prompt": "final_prompts",
    "every_address_has_one_prompt": "final_prompts",
    "every_customer_gets_one_email": "emails",
    "every_email_traces_to_its_source": "emails",
    "every_email_is_in_its_language": "emails",
}

# These do not stop anything: a person should look.
WARNINGS = {"few_customers_changed_segment": "customer_segments"}

# What the words of a label are held against.
THRESHOLDS = {"recent_months": RECENT_MONTHS, "repeat_orders": REPEAT_ORDERS}

# pandera's checks by name: whether a column keeps the bounds.
_BOUNDS: dict[str, Callable[..., ibis.expr.types.BooleanColumn]] = {
    "greater_than": lambda column, min_value: column > min_value,
    "greater_than_or_equal_to": lambda column, min_value: column >= min_value,
    "less_than_or_equal_to": lambda column, max_value: column <= max_value,
    "isin": lambda column, allowed_values: column.isin(allowed_values),
    "str_matches": lambda column, pattern: column.re_search(pattern),
    "str_length": lambda column, min_value, max_value, exact_value: (
        column.length() >= min_value
        if max_value is None
        else column.length().between(min_value, max_value)
    ),
}


@dataclass(frozen=True)
class Failure:
    """A rule, how many rows break it, and up to five of them.

    Of a duplicate key all rows count, and the keys are shown; a rule about the columns
    themselves has neither count nor rows.
    """

    rule: str
    count: int
    rows: list[dict[str, Any]]


def schema_failures(model: type[schemas.Table], table: ibis.Table) -> list[Failure]:
    """What in the table breaks its model, computed in the warehouse: first its columns and types,
    then, if these hold, the values."""
    return _strange_types(model, table) or _broken_columns(model, table) or [
        *_twice(model, table), *_broken_rules(model, table)
    ]  # fmt: skip


def _strange_types(model: type[schemas.Table], table: ibis.Table) -> list[Failure]:
    """Columns of a type that pandera stops at, such as a list of numbers."""
    failures = []
    for name, spec in schemas.columns(model).items():
        found = table.schema().get(name)
        try:
            ibis_engine.Engine.dtype(found or spec.dtype)
        except TypeError:
            rule = f"expected column '{name}' to have type {spec.dtype}, got {found}"
            failures.append(Failure(rule, 0, []))
    return failures


def _broken_columns(model: type[schemas.Table], table: ibis.Table) -> list[Failure]:
    with config_context(validation_depth=ValidationDepth.SCHEMA_ONLY):
        try:
            model.validate(table, lazy=True)
        except SchemaErrors as errors:
            return [_failure(model, table, error) for error in errors.schema_errors]
    return []


def _twice(model: type[schemas.Table], table: ibis.Table) -> list[Failure]:
    keys = schemas.key(model)
    if not keys:
        return []
    counted = table.group_by(keys).agg(rows=table.count())
    twice = counted.filter(counted.rows > 1)
    count = twice.rows.sum().to_pyarrow().as_py()
    return [Failure(f"{', '.join(keys)} is unique", count, _shown(twice))] if count else []


def _broken_rules(model: type[schemas.Table], table: ibis.Table) -> list[Failure]:
    """What pandera would say of the values, in one query: pandera asks one for each rule, and on
    BigQuery lines up what it compares by row numbers that no order makes the same."""
    rules = [*_rules(model, table)]
    counts = table.aggregate(
        **{f"rule_{place}": broken.sum() for place, (_, _, broken) in enumerate(rules)}
    ).to_pyarrow()
    return [
        Failure(
            said,
            count,
            _shown(table.filter(broken)[list(dict.fromkeys([*schemas.key(model), column]))]),
        )
        for (column, said, broken), (count,) in zip(rules, counts.to_pydict().values(), strict=True)
        if count
    ]


def _rules(
    model: type[schemas.Table], table: ibis.Table
) -> Iterator[tuple[str, str, ibis.expr.types.BooleanColumn]]:
    """Column, rule, and which rows break it, for every rule of the model about values."""
    for name, spec in schemas.columns(model).items():
        column = table[name]
        if not spec.nullable:
            absent, rule = column.isnull(), f"{name} is never NULL"
            if column.type().is_floating():
                absent, rule = absent | column.isnan(), f"{rule} or NaN"
            yield name, rule, absent
        for check in spec.checks:
            keeps = _BOUNDS[check.name](column, **check.statistics)
            yield name, f"{name}: {check.error}", ~keeps


def claim_failures(warehouse: Warehouse, query: Query, parameters: dict) -> list[Failure]:
    """What breaks the claim of a query that returns the rows that break it."""
    rows = warehouse.read(query, {**THRESHOLDS, **parameters})
    if not rows.num_rows:
        return []
    return [Failure(query.name.split("/")[-1], rows.num_rows, rows.slice(0, _SHOWN).to_pylist())]


def _failure(model: type[schemas.Table], table: ibis.Table, error: SchemaError) -> Failure:
    if error.reason_code.name == "COLUMN_NOT_IN_SCHEMA":  # of several, pandera names the first one
        extra = [name for name in table.columns if name not in schemas.columns(model)]
        return Failure(f"column {', '.join(map(repr, extra))} not declared", 0, [])
    said = str(error).splitlines()[0]
    # pandera goes on with the columns of the table.
    return Failure(said.split(". Columns in table")[0], 0, [])


def _shown(broken: ibis.Table) -> list[dict[str, Any]]:
    return broken.limit(_SHOWN).to_pyarrow().to_pylist()


def _result(
    failures: list[Failure],
    partition: str | None,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    scope = {"partition": partition} if partition else {}
    if not failures:
        return dg.AssetCheckResult(passed=True, severity=severity, metadata=scope)
    said = "; ".join(
        f"{f.rule}: broken by {f.count:,} row(s)" if f.count else f.rule for f in failures
    )
    return dg.AssetCheckResult(
        passed=False,
        severity=severity,
        description=said,
        metadata=scope
        | {
            f.rule: dg.MetadataValue.md(f"{f.count:,} row(s)\n\n{as_markdown(f.rows)}")
            for f in failures
            if f.count
        },
    )


def _check(
    asset: str, name: str, description: str, evaluate: Callable, blocking: bool = True
) -> Any:
    @dg.asset_check(asset=asset, name=name, description=description, blocking=blocking)
    @told
    def run(
        context: dg.AssetCheckExecutionContext,
        settings: dg.ResourceParam[Settings],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> dg.AssetCheckResult:
        # A run of one language may make the tables before the e-mails too: these are whole.
        partitioned = context.job_def.asset_layer.get(dg.AssetKey(asset)).partitions_def
        partition = context.partition_key if partitioned and context.has_partition_key else None
        failures = evaluate(warehouse, settings, partition)
        severity = dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN
        return _result(failures, partition, severity)

    return run


def _schema_check(model: type[schemas.Table], dataset: str) -> Any:
    name = model.__name__

    def evaluate(
        warehouse: Warehouse, settings: Settings, partition: str | None
    ) -> list[Failure]:
        with warehouse.ibis_table(name, dataset) as table:
            if dataset == SOURCE_DATASET:
                table = _used(model, table, settings)
            if partition is not None:
                table = table.filter(table.language == partition)
            return schema_failures(model, table)

    return _check(
        name, "schema", "Columns, types and bounds are those of the pandera model.", evaluate
    )


def _used(model: type[schemas.Table], table: ibis.Table, settings: Settings) -> ibis.Table:
    """The columns that we use; what else a source has is none of our business."""
    names = schemas.columns(model)
    if CONSENT in names and not settings.consent:
        table = table.mutate(**{CONSENT: ibis.null("boolean")})
    return table.select([name for name in names if name in table.columns])


def _claim_check(claim: str, asset: str, blocking: bool = True) -> Any:
    query = read_query(f"checks/{claim}")

    def evaluate(
        warehouse: Warehouse, settings: Settings, partition: str | None
    ) -> list[Failure]:
        return claim_failures(
            warehouse, query, {"language": partition, "moved_share": settings.moved_share}
        )

    comment = " ".join(
        line.removeprefix("-- ") for line in query.text.splitlines() if line.startswith("-- ")
    )
    said = f"There must be none of these: {comment[0].lower()}{comment[1:]}"
    return _check(asset, claim, said, evaluate, blocking)


def build_checks() -> list[Any]:
    """Every asset check of the graph."""
    ours = [
        schemas.countries,
        schemas.suppression_list,
        schemas.parametric,
        schemas.cluster_metrics,
        schemas.centroids,
        schemas.customer_segments,
        schemas.segment_labels,
        schemas.final_prompts,
        schemas.emails,
    ]
    return [
        *(_schema_check(model, SOURCE_DATASET) for model in schemas.SOURCES),
        *(_schema_check(model, OUR_DATASET) for model in ours),
        *(_claim_check(claim, asset) for claim, asset in CLAIMS.items()),
        *(_claim_check(claim, asset, blocking=False) for claim, asset in WARNINGS.items()),
    ]
