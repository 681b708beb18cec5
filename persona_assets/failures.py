"""How an error that is written for a person looks in the Dagster UI: its message, no traceback."""

from collections.abc import Callable
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any

import dagster as dg

from persona_assets.errors import InputError, PersonaError, WarehouseBusy


def asset(**arguments: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """@dg.asset, told."""
    return lambda compute: dg.asset(**arguments)(told(compute))


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
