"""The partitions of the e-mails: one per language."""

import dagster as dg

from persona_assets.languages import LANGUAGES

LANGUAGE_PARTITIONS = dg.StaticPartitionsDefinition([*LANGUAGES])
