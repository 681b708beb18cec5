"""How an error that is written for a person looks in the Dagster UI: its message, no traceback."""

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import isgeneratorfunction, signature
from typing import Any

import dagster as dg
from pydantic import ValidationError

from persona_assets.errors import InputError, PersonaError, WarehouseBusy


def asset(**arguments: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """@dg.asset, told, its options bounded."""

    def decorate(compute: Callable[..., Any]) -> dg.AssetsDefinition:
        made = dg.asset(**arguments)(told(compute))
        bounded(made.op)
        return made

    return decorate


def bounded(op: dg.OpDefinition) -> dg.OpDefinition:
    """The same op, refusing to be launched with options that its dg.Config does not accept.

    The launchpad looks at types, and a dg.Config at its bounds when the step begins: late, and
    with a traceback. Before a run is made, though, Dagster has the types of its config take every
    value, and shows what they raise.
    """
    options = signature(op.compute_fn.decorated_fn).parameters.get("config")
    if options is not None:

        def taken(given: Mapping[str, Any]) -> Mapping[str, Any]:
            try:
                options.annotation(**given)
            except ValidationError as error:
                raise InputError(
                    "\n".join(_explain(op.name, problem) for problem in error.errors())
                ) from None
            return given

        op.config_schema.as_field().config_type.post_process = taken
    return op


def _explain(asset: str, problem: Mapping[str, Any]) -> str:
    option = ".".join(map(str, problem["loc"]))
    said = problem["msg"].removeprefix("Value error, ").replace("Input", "it")
    return f"The option {option} of {asset} is {problem['input']!r}: {said}."


def told(compute: Callable[..., Any]) -> Callable[..., Any]:
    """The function of an asset, a check or an op, with its PersonaErrors as dg.Failure.

    Bad input is not tried again, because the same input fails the same way.
    """
    if isgeneratorfunction(compute):

        @wraps(compute)
        def run(*args: Any, **kwargs: Any) -> Any:
            try:
                yield from compute(*args, **kwargs)
            except PersonaError as error:
                raise _failure(error) from None
    else:

        @wraps(compute)
        def run(*args: Any, **kwargs: Any) -> Any:
            try:
                return compute(*args, **kwargs)
            except PersonaError as error:
                raise _failure(error) from None

    return run


def told_error(failure: dg.Failure) -> BaseException:
    """The error that became this failure; the failure itself, if none did."""
    return failure.__context__ if isinstance(failure.__context__, PersonaError) else failure


def _failure(error: PersonaError) -> dg.Failure:
    return dg.Failure(
        description=str(error),
        metadata={"message": str(error)},  # the row of the log shows the metadata
        allow_retries=isinstance(error, WarehouseBusy) or not isinstance(error, InputError),
    )
