"""Google's own analyzer and evaluator of GoogleSQL, over the tables of the pandera models."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import pyarrow as pa
from google.protobuf.timestamp_pb2 import Timestamp
from sqlglot import exp
from zetasql.api import TypeFactory
from zetasql.core import wasm_client
from zetasql.core.exceptions import ZetaSQLError
from zetasql.core.local_service import ZetaSqlLocalService
from zetasql.types import (
    AnalyzerOptions,
    EvaluateQueryRequest,
    LanguageFeature,
    LanguageOptions,
    Parameter,
    ProductMode,
    SimpleCatalog,
    SimpleColumn,
    SimpleConnection,
    SimpleTable,
    TableContent,
    TableData,
    Type,
    TypeKind,
    Value,
    ZetaSQLBuiltinFunctionOptions,
)
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2

from persona_assets import schemas
from persona_assets.warehouse import Query
from persona_assets.warehouse.base import OUR_DATASET, SOURCE_DATASET

PROJECT = "test-project"
MODELS = schemas.Table.__subclasses__()
SOURCES = {model.__name__ for model in schemas.SOURCES}
_KINDS = {
    pa.int64(): TypeKind.TYPE_INT64,
    pa.float64(): TypeKind.TYPE_DOUBLE,
    pa.string(): TypeKind.TYPE_STRING,
    pa.bool_(): TypeKind.TYPE_BOOL,
    pa.date32(): TypeKind.TYPE_DATE,
    pa.timestamp("us", tz="UTC"): TypeKind.TYPE_TIMESTAMP,
}
_NAMES = {kind: name for name, kind in {
    "INT64": TypeKind.TYPE_INT64, "FLOAT64": TypeKind.TYPE_DOUBLE, "STRING": TypeKind.TYPE_STRING,
    "BOOL": TypeKind.TYPE_BOOL, "DATE": TypeKind.TYPE_DATE, "TIMESTAMP": TypeKind.TYPE_TIMESTAMP,
}.items()}  # fmt: skip
_EPOCH = date(1970, 1, 1)


class Refused(Exception):
    """The analyzer or the evaluator does not accept the statement."""


@cache
def service() -> ZetaSqlLocalService:
    """The engine; compiled once per machine, which takes half a minute."""
    plain = wasm_client.Config

    def cached() -> Any:
        config = plain()
        config.cache = True
        return config

    wasm_client.Config = cached
    try:
        return ZetaSqlLocalService.get_instance()
    finally:
        wasm_client.Config = plain


@cache
def language() -> LanguageOptions:
    """GoogleSQL as BigQuery has it."""
    options = LanguageOptions.maximum_features()
    options.product_mode = ProductMode.PRODUCT_EXTERNAL
    options.supported_statement_kinds = []
    options.reserved_keywords = ["QUALIFY"]
    without = {"FEATURE_ARRAY_ORDERING", "FEATURE_ARRAY_EQUALITY", "FEATURE_DOT_PRODUCT"}
    options.enabled_language_features = [
        feature
        for feature in options.enabled_language_features
        if LanguageFeature(feature).name not in without
    ]
    return options


def options(parameters: Mapping[str, Any]) -> AnalyzerOptions:
    return AnalyzerOptions(
        language_options=language(),
        default_timezone="UTC",
        query_parameters=[
            AnalyzerOptions.QueryParameter(name=name, type=_type_of(value))
            for name, value in parameters.items()
        ],
    )


@cache
def catalog() -> SimpleCatalog:
    """Every table, as persona.t and as `test-project`.persona.t, and BigQuery's functions."""
    datasets = [
        SimpleCatalog(
            name=dataset,
            table=[
                _table(model) for model in MODELS if (model.__name__ in SOURCES) == is_source
            ],
        )
        for dataset, is_source in ((OUR_DATASET, False), (SOURCE_DATASET, True))
    ]
    return SimpleCatalog(
        name="root",
        catalog=[
            *datasets,
            SimpleCatalog(
                name=PROJECT,
                catalog=[
                    *datasets,
                    SimpleCatalog(name="us", connection=[SimpleConnection(name="persona")]),
                ],
            ),
        ],
        builtin_function_options=ZetaSQLBuiltinFunctionOptions(language_options=language()),
    )


def analyze(statement: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """The output columns of a query with their types. Raises Refused, with line and column."""
    try:
        resolved = service().analyze(
            sql_statement=statement, options=options(parameters), simple_catalog=catalog()
        ).resolved_statement
    except ZetaSQLError as error:
        raise Refused(str(getattr(error, "raw_error", None) or error)) from None
    return {
        column.name: _spelled(column.column.type)
        for column in getattr(resolved, "output_column_list", [])
    }


def evaluate(
    query: Query, tables: Mapping[str, Sequence[Mapping[str, Any]]], parameters: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The rows of a query over tables given as rows by name; the others are empty.

    Raises Refused when the evaluator does not know a function.
    """
    tree = query.tree.copy()
    for table in tree.find_all(exp.Table):
        table.set("db", None)  # the evaluator knows tables without a dataset only
    read = [getattr(schemas, table) for _, table in query.tables()]
    request = EvaluateQueryRequest(
        sql=tree.sql("bigquery", comments=False),
        options=options(parameters),
        simple_catalog=SimpleCatalog(
            name="root",
            table=[_table(model) for model in read],
            builtin_function_options=ZetaSQLBuiltinFunctionOptions(
                language_options=language()
            ),
        ),
        table_content={
            model.__name__: _content(model, tables.get(model.__name__, [])) for model in read
        },
        params=[
            Parameter(name=name, value=_value(value))
            for name, value in parameters.items()
        ],
    )
    try:
        # Not through the service's own method, whose answer loses the moments.
        answer = service().wasm_client.call_grpc_func(
            "ZetaSqlLocalService_EvaluateQuery",
            request.to_proto(),
            local_service_pb2.EvaluateQueryResponse,
        )
    except ZetaSQLError as error:
        raise Refused(str(getattr(error, "raw_error", None) or error)) from None
    return [
        {
            column.name: _python(cell, column.type)
            for column, cell in zip(answer.prepared.columns, row.cell, strict=True)
        }
        for row in answer.content.table_data.row
    ]


def _table(model: type[schemas.Table]) -> SimpleTable:
    return SimpleTable(
        name=model.__name__,
        column=[
            SimpleColumn(name=field.name, type=_arrow_type(field.type))
            for field in schemas.arrow_schema(model)
        ],
    )


def _arrow_type(kind: pa.DataType) -> Type:
    if pa.types.is_list(kind):
        return TypeFactory.create_array_type(_arrow_type(kind.value_type))
    if pa.types.is_timestamp(kind):
        kind = pa.timestamp("us", tz="UTC")
    return TypeFactory.create_simple_type(_KINDS[kind])


def _type_of(value: Any) -> Type:
    if isinstance(value, list):
        inner = _type_of(value[0]) if value else TypeFactory.create_simple_type(_KINDS[pa.string()])
        return TypeFactory.create_array_type(inner)
    if isinstance(value, dict):
        fields = [(name, _type_of(field)) for name, field in value.items()]
        return TypeFactory.create_struct_type(fields)
    if value is None:
        return TypeFactory.create_simple_type(TypeKind.TYPE_STRING)
    kinds = {
        bool: TypeKind.TYPE_BOOL, int: TypeKind.TYPE_INT64, float: TypeKind.TYPE_DOUBLE,
        str: TypeKind.TYPE_STRING, date: TypeKind.TYPE_DATE, datetime: TypeKind.TYPE_TIMESTAMP,
    }  # fmt: skip
    return TypeFactory.create_simple_type(kinds[type(value)])


def _spelled(kind: Type) -> str:
    if kind.type_kind == TypeKind.TYPE_ARRAY:
        return f"ARRAY<{_spelled(kind.array_type.element_type)}>"
    return _NAMES.get(kind.type_kind, TypeKind(kind.type_kind).name)


def _content(model: type[schemas.Table], rows: Sequence[Mapping[str, Any]]) -> TableContent:
    names = schemas.arrow_schema(model).names
    cells = [TableData.Row(cell=[_value(row.get(name)) for name in names]) for row in rows]
    return TableContent(table_data=TableData(row=cells))


def _value(value: Any) -> Value:
    if value is None:
        return Value()
    if isinstance(value, list):
        return Value(array_value=Value.Array(element=[_value(one) for one in value]))
    if isinstance(value, dict):
        return Value(struct_value=Value.Struct(field=[*map(_value, value.values())]))
    if isinstance(value, datetime):
        moment = Timestamp()
        moment.FromDatetime(value)
        return Value(timestamp_value=moment)
    if isinstance(value, date):
        return Value(date_value=(value - _EPOCH).days)
    names = {bool: "bool_value", int: "int64_value", float: "double_value", str: "string_value"}
    return Value(**{names[type(value)]: value})


def _python(cell: Any, kind: Any) -> Any:
    """A value of the answer, which is protobuf, in Python's own types."""
    field = cell.WhichOneof("value")
    if field is None:
        return None
    value = getattr(cell, field)
    if field == "array_value":
        return [_python(one, kind.array_type.element_type) for one in value.element]
    if field == "timestamp_value":
        return value.ToDatetime().replace(tzinfo=UTC)
    return _EPOCH + timedelta(days=value) if field == "date_value" else value
