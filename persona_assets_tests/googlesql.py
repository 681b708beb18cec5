"""Google's own analyzer and evaluator of GoogleSQL, over the tables of the pandera models."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import pyarrow as pa
import sqlglot
from google.protobuf.timestamp_pb2 import Timestamp
from sqlglot import exp
from zetasql.api import TypeFactory
from zetasql.core import wasm_client
from zetasql.core.exceptions import ZetaSQLError
from zetasql.core.local_service import ZetaSqlLocalService
from zetasql.types import (
    AnalyzerOptions,
    EvaluateQueryRequest,
    Function,
    FunctionArgumentType,
    FunctionArgumentTypeOptions,
    FunctionEnums,
    FunctionSignature,
    LanguageFeature,
    LanguageOptions,
    Parameter,
    ProductMode,
    SignatureArgumentKind,
    SimpleCatalog,
    SimpleColumn,
    SimpleConnection,
    SimpleTable,
    TableContent,
    TableData,
    TableValuedFunction,
    TVFRelation,
    TVFRelationColumn,
    Type,
    TypeKind,
    Value,
    ZetaSQLBuiltinFunctionOptions,
)
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2

from persona_assets import schemas
from persona_assets.copywriting.bigquery_writer import ASKED
from persona_assets.warehouse import Query
from persona_assets.warehouse.base import OUR_DATASET, SOURCE_DATASET
from persona_assets_tests.remote_model import output_schema

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
    "JSON": TypeKind.TYPE_JSON,
}.items()}  # fmt: skip
_BY_NAME = {name: kind for kind, name in _NAMES.items()}
# https://docs.cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-generate-table
# and its neighbours: the options of the functions, and the columns beside those of the input.
_SHARED = ("max_output_tokens", "top_p", "temperature", "stop_sequences", "safety_settings",
           "request_type")  # fmt: skip
_TABLE_OPTIONS = ("output_schema", *_SHARED)
_TEXT_OPTIONS = (*_SHARED, "ground_with_google_search", "model_params", "flatten_json_output")
_SCALAR_OPTIONS = ("prompt", "endpoint", "model_params", "output_schema", "connection_id",
                   "request_type")  # fmt: skip
_RESPONSE = {"full_response": "JSON", "status": "STRING"}
# https://docs.cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-ai-count-tokens
_COUNT_TOKENS = ({"input": "STRING", "endpoint": "STRING"},
                 {"result": "INT64", "full_response": "JSON"})  # fmt: skip
_GENERATED_TEXT = {"ml_generate_text_result": "JSON", "ml_generate_text_status": "STRING"}
_EPOCH = date(1970, 1, 1)


class Json(dict):
    """A parameter of the type JSON; a plain dict is a STRUCT."""


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
    service()  # the options ask for the engine, and would have it compiled again
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
                _table(model.__name__, schemas.arrow_schema(model))
                for model in MODELS
                if (model.__name__ in SOURCES) == is_source
            ],
        )
        for dataset, is_source in ((OUR_DATASET, False), (SOURCE_DATASET, True))
    ]
    datasets[0].table.append(_table("asked", ASKED))
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


def _with_models(statement: str) -> tuple[str, SimpleCatalog]:
    """A statement without the models that the engine cannot take, and a catalog with BigQuery's AI
    functions, which give the columns that the statement's own output schema has."""
    if not re.search(r"\b(AI|ML)\.", statement):
        return statement, catalog()
    functions, relations = [_ai_function("COUNT_TOKENS", *_COUNT_TOKENS)], []
    for call in sqlglot.parse_one(statement, read="bigquery").find_all(
        exp.GenerateTable, exp.GenerateText, exp.AIGenerate
    ):
        if isinstance(call, exp.AIGenerate):
            functions.append(_ai_generate(_options(call.expressions, _SCALAR_OPTIONS)))
            continue
        structured = isinstance(call, exp.GenerateTable)
        known = _TABLE_OPTIONS if structured else _TEXT_OPTIONS
        given = _options(call.args["params_struct"].expressions, known)
        columns = _GENERATED_TEXT
        if structured:
            columns = {**output_schema(given["output_schema"]), **_RESPONSE}
        relations.append(_table_function("GENERATE_TABLE" if structured else "GENERATE_TEXT",
                                         columns))  # fmt: skip
    known = catalog()
    scopes = {
        scope: SimpleCatalog(
            name=scope,
            custom_function=functions if scope == "AI" else [],
            custom_tvf=[one for one in relations if (one.name_path[0] == "GENERATE_TABLE")
                        == (scope == "AI")],
        )
        for scope in ("AI", "ML")
    }  # fmt: skip
    return re.sub(r"MODEL\s+[\w.`-]+\s*,", "", statement), SimpleCatalog(
        name="root",
        catalog=[*known.catalog, *scopes.values()],
        builtin_function_options=known.builtin_function_options,
    )


def _options(given: Sequence[exp.Expression], known: Sequence[str]) -> dict[str, str]:
    """Options by name, texts as they are. Raises Refused for those that are not documented."""
    found = {one.this.name: one.expression.name for one in given}
    if unknown := found.keys() - set(known):
        raise Refused(f"No such option: {', '.join(sorted(unknown))}")
    if "model_params" in found and found.keys() & {"temperature", "max_output_tokens"}:
        raise Refused("model_params goes with none of the parameters that it can hold")
    return found


def _table_function(name: str, columns: Mapping[str, str]) -> TableValuedFunction:
    """A function that gives its input's columns, and these."""
    made = FunctionEnums.TableValuedFunctionType
    arguments = [SignatureArgumentKind.ARG_TYPE_RELATION, SignatureArgumentKind.ARG_TYPE_ARBITRARY]
    added = TVFRelation(
        column=[TVFRelationColumn(name=n, type=_named(kind)) for n, kind in columns.items()],
        is_value_table=False,
    )
    return TableValuedFunction(
        name_path=[name],
        signature=FunctionSignature(
            argument=[_argument(kind) for kind in arguments],
            return_type=FunctionArgumentType(kind=SignatureArgumentKind.ARG_TYPE_RELATION),
        ),
        type=made.FORWARD_INPUT_SCHEMA_TO_OUTPUT_SCHEMA_WITH_APPENDED_COLUMNS,
        custom_context=added.to_proto().SerializeToString().decode("latin-1"),
    )


def _ai_generate(given: Mapping[str, str]) -> Function:
    columns = {**output_schema(given["output_schema"]), **_RESPONSE}
    kinds = {name: "JSON" if name == "model_params" else "STRING" for name in _SCALAR_OPTIONS}
    return _ai_function("GENERATE", kinds, columns)


def _ai_function(
    name: str, arguments: Mapping[str, str], columns: Mapping[str, str]
) -> Function:
    """A function of one text and named options that gives a STRUCT of these columns."""
    answer = TypeFactory.create_struct_type([(n, _named(kind)) for n, kind in columns.items()])
    fixed = SignatureArgumentKind.ARG_TYPE_FIXED
    return Function(
        name_path=[name],
        group="AI",
        mode=FunctionEnums.Mode.SCALAR,
        signature=[
            FunctionSignature(
                argument=[
                    _argument(fixed, type=_named(kind), argument_name=n, optional=place > 0)
                    for place, (n, kind) in enumerate(arguments.items())
                ],
                return_type=FunctionArgumentType(kind=fixed, type=answer, num_occurrences=1),
            )
        ],
    )


def _argument(
    kind: SignatureArgumentKind,
    type: Type | None = None,
    argument_name: str | None = None,
    optional: bool = False,
) -> FunctionArgumentType:
    cardinality = FunctionEnums.ArgumentCardinality
    named = FunctionEnums.NamedArgumentKind.POSITIONAL_OR_NAMED if argument_name else None
    return FunctionArgumentType(
        kind=kind,
        type=type,
        num_occurrences=1,
        options=FunctionArgumentTypeOptions(
            cardinality=cardinality.OPTIONAL if optional else cardinality.REQUIRED,
            argument_name=argument_name,
            named_argument_kind=named,
        ),
    )


def _named(kind: str) -> Type:
    return TypeFactory.create_simple_type(_BY_NAME[kind])


def analyze(statement: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """The output columns of a query with their types. Raises Refused, with line and column."""
    statement, known = _with_models(statement)
    try:
        resolved = service().analyze(
            sql_statement=statement, options=options(parameters), simple_catalog=known
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
            table=[_table(model.__name__, schemas.arrow_schema(model)) for model in read],
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


def _table(name: str, schema: pa.Schema) -> SimpleTable:
    return SimpleTable(
        name=name,
        column=[
            SimpleColumn(name=field.name, type=_arrow_type(field.type)) for field in schema
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
    if isinstance(value, Json):
        return TypeFactory.create_simple_type(TypeKind.TYPE_JSON)
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
