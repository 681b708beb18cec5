"""The errors that are written for a person: one message that names the thing and the next step."""


class PersonaError(Exception):
    """Something went wrong that the reader of the message can mend; shown without a traceback."""

    exit_code = 1


class InputError(PersonaError):
    """Bad input, a bad setting or a missing one; nothing was written."""

    exit_code = 2


class WarehouseBusy(InputError):
    """Somebody else is writing; the message says who."""
