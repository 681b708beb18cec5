"""The partitions of the e-mails: one per language."""

from typing import Annotated

import dagster as dg
from pydantic import AfterValidator

from persona_assets.languages import LANGUAGES

LANGUAGE_PARTITIONS = dg.StaticPartitionsDefinition([*LANGUAGES])


def _partitions(languages: list[str]) -> list[str]:
    if unknown := [language for language in languages if language not in LANGUAGES]:
        raise ValueError(f"{unknown[0]!r} is not one of {', '.join(LANGUAGES)}")
    return languages


# In the options of an asset or a job.
Languages = Annotated[list[str], AfterValidator(_partitions)]
