"""One row of behaviour per customer."""

from datetime import date

import dagster as dg
from pydantic import Field, field_validator

from persona_assets import schemas
from persona_assets.assets.tables import described, materialized
from persona_assets.failures import asset
from persona_assets.settings import Settings
from persona_assets.text import as_markdown
from persona_assets.warehouse import Warehouse, read_query

GROUP = "behaviour"


class BehaviourConfig(dg.Config):
    """Which day the customers are described on."""

    as_of: str | None = Field(
        default=None,
        description="YYYY-MM-DD; unset: PERSONA_AS_OF, or else the day of the newest order.",
    )

    @field_validator("as_of")
    @classmethod
    def _is_a_day(cls, text: str | None) -> str | None:
        try:
            date.fromisoformat(text or "2000-01-01")
        except ValueError:
            raise ValueError("give a date as YYYY-MM-DD") from None
        return text


@asset(**described(schemas.parametric, GROUP, query="parametric"))
def parametric(
    config: BehaviourConfig,
    settings: dg.ResourceParam[Settings],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    given = date.fromisoformat(config.as_of) if config.as_of else settings.as_of
    as_of = given or _newest_order(warehouse)
    receipt = warehouse.create(
        "parametric",
        read_query("parametric"),
        {"as_of": as_of, "excluded_statuses": list(settings.excluded_statuses)},
    )
    oddities = warehouse.read(read_query("oddities"), {}).to_pylist()
    return materialized(
        warehouse,
        schemas.parametric,
        receipt,
        query="parametric",
        extra={
            "as_of": as_of.isoformat(),
            "oddities": dg.MetadataValue.md(as_markdown(oddities)),
            "oddity_counts": {row["oddity"]: int(row["amount"]) for row in oddities},
        },
    )


def _newest_order(warehouse: Warehouse) -> date:
    return warehouse.read(read_query("newest_order"), {})["newest_order"][0].as_py()
