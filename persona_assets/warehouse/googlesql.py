"""GoogleSQL files: finding, parsing and transpiling them, and what they read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp

from persona_assets.warehouse.unroll import unroll

_PACKAGE = Path(__file__).parents[1]
SQL_FOLDER = next(
    folder for folder in (_PACKAGE / "sql", _PACKAGE.parent / "sql") if folder.is_dir()
)


@dataclass(frozen=True)
class Query:
    """One SELECT in GoogleSQL, with @parameters.

    name: the file's path below sql/ without its ending; text: as written; tree: parsed.
    """

    name: str
    text: str
    tree: exp.Expression

    @property
    def version(self) -> str:
        """Changes when the file does."""
        return sha256(self.text.encode()).hexdigest()[:12]

    def tables(self) -> set[tuple[str, str]]:
        """(dataset, table) of every table that the query reads."""
        return {(table.db, table.name) for table in _named(self.tree) if not _is_model(table)}

    def parameters(self) -> set[str]:
        """Names of the @parameters."""
        return {parameter.name for parameter in self.tree.find_all(exp.Parameter)}

    def bind(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The values that the query needs. Raises ValueError when one is missing."""
        missing = self.parameters() - parameters.keys()
        if missing:
            raise ValueError(
                f"sql/{self.name}.sql needs a value for @{', @'.join(sorted(missing))}"
            )
        return {name: parameters[name] for name in self.parameters()}

    def pointed(
        self, datasets: Mapping[str, tuple[str, str]], names: Mapping[str, str] | None = None
    ) -> exp.Expression:
        """The parsed query with every dataset replaced by the (project, dataset) that it is, and
        tables and models that `names` has by those of that name."""
        tree = self.tree.copy()
        for table in _named(tree):
            name = (names or {}).get(table.name, table.name)
            table.replace(_point(table, *datasets[table.db], name))
        return tree

    def settled(self, constants: Mapping[str, Any]) -> "Query":
        """The query with these parameters written out, for what takes constants only, as the
        options of model functions do: texts, numbers, and JSON as a mapping."""
        tree = self.tree.copy()
        for parameter in [*tree.find_all(exp.Parameter)]:
            if parameter.name in constants:
                parameter.replace(_constant(constants[parameter.name]))
        return Query(self.name, self.text, tree)

    def to_duckdb(self, parameters: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The query in DuckDB's dialect, with $parameters, and their values."""
        values = self.bind(parameters)
        return unroll(self.tree, values).sql("duckdb"), values


@lru_cache
def read_query(name: str) -> Query:
    """The query in sql/<name>.sql. Raises FileNotFoundError or sqlglot's ParseError."""
    text = (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    return Query(name, text, sqlglot.parse_one(text, read="bigquery"))


def _named(tree: exp.Expression) -> list[exp.Table]:
    """The tables and models with a dataset; a table function is none."""
    return [
        table
        for table in tree.find_all(exp.Table)
        if table.db and isinstance(table.this, exp.Identifier)
    ]


def _is_model(table: exp.Table) -> bool:
    return isinstance(table.parent, exp.Func) and table.arg_key == "this"


def _point(table: exp.Table, project: str, dataset: str, name: str) -> exp.Table:
    pointed = table.copy()
    pointed.set("catalog", exp.to_identifier(project, quoted=True))
    pointed.set("db", exp.to_identifier(dataset, quoted=True))
    if name != table.name:
        pointed.set("this", exp.to_identifier(name, quoted=True))
    return pointed


def _constant(value: Any) -> exp.Expression:
    if isinstance(value, Mapping):  # PARSE_JSON('…') is no constant
        text = exp.Literal.string(json.dumps(value))
        return exp.Introducer(this=exp.var("JSON"), expression=text)
    return exp.convert(value)
