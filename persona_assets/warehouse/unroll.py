"""The first of a bound array's elements, found by comparing all of them in a CASE.

GoogleSQL says which one it is in a subquery:
(SELECT x.this FROM UNNEST(@array) AS x ORDER BY key, x.that LIMIT 1).
DuckDB would join every row with the array and sort the result, which takes twenty times as long.
"""

from collections.abc import Mapping
from typing import Any

from sqlglot import exp


def unroll(tree: exp.Expression, parameters: Mapping[str, Any]) -> exp.Expression:
    """A copy of the tree with a CASE for each such subquery.

    parameters: what will be bound; only the number of elements and what breaks ties is read, and
    there must be an element. The keys, none of which may be NULL, become columns of the FROM that
    the subquery stands above, one for each element.
    """
    tree = tree.copy()
    for unnest in [*tree.find_all(exp.Unnest)]:
        if isinstance(unnest.parent, exp.From):
            _unroll(unnest, parameters[unnest.expressions[0].name])
    return tree


def _unroll(unnest: exp.Unnest, elements: list[Mapping[str, Any]]) -> None:
    select = unnest.parent_select
    (wanted,) = select.selects
    key, *ties = (ordered.this for ordered in select.args["order"].expressions)
    (alias,) = unnest.alias_column_names
    places = sorted(range(len(elements)), key=lambda i: [elements[i][tie.name] for tie in ties])

    def of(place: int, expression: exp.Expression) -> exp.Expression:
        """The expression with the element in place of its alias."""
        return expression.transform(
            lambda node: (
                exp.Dot(
                    this=exp.Bracket(
                        this=unnest.expressions[0].copy(),
                        expressions=[exp.Literal.number(place)],
                        offset=0,
                    ),
                    expression=node.this,
                )
                if isinstance(node, exp.Column) and node.table == alias
                else node
            )
        )

    names = [f"_{alias}_{place}" for place in range(len(elements))]
    source = select.parent_select.args["from_"]
    keys = [exp.alias_(of(place, key), names[place]) for place in places]
    with_keys = exp.select("*", *keys).from_(source.this)
    source.set("this", with_keys.subquery(source.this.alias_or_name))
    *ahead, last = places
    case = exp.Case(ifs=[], default=of(last, wanted))
    for position, place in enumerate(ahead, 1):
        first = [exp.column(names[place]) <= exp.column(names[o]) for o in places[position:]]
        case = case.when(exp.and_(*first), of(place, wanted))
    select.parent.replace(case if ahead else of(last, wanted))
