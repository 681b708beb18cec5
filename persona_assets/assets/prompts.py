"""One prompt per customer."""

import dagster as dg
from pydantic import Field

from persona_assets import schemas
from persona_assets.assets.tables import described, materialized
from persona_assets.failures import asset
from persona_assets.settings import Settings
from persona_assets.warehouse import Warehouse, read_query

GROUP = "emails"


class PromptsConfig(dg.Config):
    """Where one stage of a customer's life ends and the next begins, and who is held out."""

    new_months: float = Field(
        default=3,
        gt=0,
        description="A first order this recent makes a new customer. Months, more than 0.",
    )
    active_months: float = Field(
        default=6,
        gt=0,
        description="Without an order for longer, a customer is slipping away. Months, more than "
        "0.",
    )
    lapsed_months: float = Field(
        default=12,
        gt=0,
        description="Without an order for longer, a customer is long gone. Months, more than 0.",
    )
    loyal_orders: int = Field(
        default=3, ge=2, description="So many orders, 2 or more, make a loyal customer."
    )
    holdout: float | None = Field(
        default=None,
        ge=0,
        le=0.5,
        description="Share of customers kept without an e-mail, 0 to 0.5; unset: PERSONA_HOLDOUT.",
    )


@asset(**described(schemas.final_prompts, GROUP, query="final_prompts"))
def final_prompts(
    config: PromptsConfig,
    settings: dg.ResourceParam[Settings],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    share = settings.holdout if config.holdout is None else config.holdout
    parameters = {
        **config.model_dump(),
        "salt": settings.salt,
        "holdout_cutoff": f"{int(share * 16**8):08x}",
    }
    receipt = warehouse.create("final_prompts", read_query("final_prompts"), parameters)
    return materialized(warehouse, schemas.final_prompts, receipt, query="final_prompts")
