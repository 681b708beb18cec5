"""Where a column comes from, read from the SQL that makes it."""

from functools import lru_cache

from sqlglot import exp
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

from persona_assets import schemas
from persona_assets.warehouse import read_query


@lru_cache
def column_sources(query: str) -> dict[str, list[tuple[str, str]]]:
    """The (table, column) pairs that each output column of sql/<query>.sql is computed from.

    A column made of constants and parameters alone has none.
    """
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for dataset, table in read_query(query).tables():
        names = schemas.columns(getattr(schemas, table))
        schema.setdefault(dataset, {})[table] = dict.fromkeys(names, "STRING")
    tree = qualify(
        read_query(query).tree.copy(),
        schema=schema,
        dialect="bigquery",
        validate_qualify_columns=False,
        quote_identifiers=False,
    )
    scope = build_scope(tree)
    found = {}
    for column in tree.named_selects:
        leaves = {
            (node.source.name, node.name.split(".")[-1].strip("`\""))
            for node in lineage(column, tree, dialect="bigquery", scope=scope).walk()
            if not node.downstream and isinstance(node.source, exp.Table)
        }
        found[column] = sorted(leaves)
    return found
