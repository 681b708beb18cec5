"""Where columns come from, against what a person reads in the SQL."""

import pytest

from persona_assets import schemas
from persona_assets.lineage import column_sources

PARAMETRIC = {
    "user_id": {"users.id"},
    "first_name": {"users.first_name"},
    "email": {"users.email"},
    "country": {"countries.country", "users.country"},
    "language": {"countries.language"},
    "total_orders": {"orders.order_id"},
    "total_revenue": {"order_items.sale_price"},
    "avg_basket": {"order_items.sale_price", "orders.order_id"},
    "last_event": {"events.event_type"},
    "last_order_date": {"orders.created_at"},
    "months_since_last_order": {"orders.created_at"},
    "freq_orders_per_quarter": {"orders.created_at", "orders.order_id"},
    # Ranked within the customer, and within the country.
    "top_products_user": {"orders.user_id", "products.name"},
    "top_products_country": {"countries.country", "products.name", "users.country"},
    "as_of": set(),
}
FINAL_PROMPTS = {
    "user_id": {"parametric.user_id"},
    "email": {"parametric.email"},
    "segment": {"customer_segments.segment"},
    "segment_label": {"segment_labels.segment_label"},
    "lifecycle": {
        "parametric.total_orders", "parametric.months_since_last_order",
        "parametric.total_revenue",
    },
    "avg_basket": {"parametric.avg_basket"},
    "last_order_month": {"parametric.last_order_date"},
    "prompt_hash": {
        "parametric.country", "parametric.language", "parametric.total_orders",
        "parametric.avg_basket", "parametric.total_revenue", "parametric.months_since_last_order",
        "parametric.first_order_date", "parametric.last_order_date", "parametric.last_event",
        "parametric.top_products_user", "parametric.top_products_country",
    },
    "audience_hash": {"parametric.user_id"},
    "segmentation_run": {"customer_segments.segmentation_run"},
}  # fmt: skip
BY_HAND = [
    (query, column, sources)
    for query, columns in (("parametric", PARAMETRIC), ("final_prompts", FINAL_PROMPTS))
    for column, sources in columns.items()
]


def sources_of(query: str, column: str) -> set[str]:
    return {f"{table}.{name}" for table, name in column_sources(query)[column]}


@pytest.mark.parametrize(("query", "column", "sources"), BY_HAND)
def test_a_column_comes_from_the_columns_that_the_sql_says(query, column, sources):
    assert sources_of(query, column) == sources


@pytest.mark.parametrize("model", [schemas.parametric, schemas.final_prompts])
def test_every_column_of_the_table_has_its_lineage(model):
    assert [*column_sources(model.__name__)] == [*schemas.columns(model)]


@pytest.mark.parametrize("query", ["parametric", "customer_segments", "final_prompts", "emails"])
def test_a_source_is_a_column_that_the_table_has(query):
    for column, sources in column_sources(query).items():
        for table, name in sources:
            assert name in schemas.columns(getattr(schemas, table)), column


def test_no_name_address_or_segment_reaches_the_prompt():
    personal = {"parametric.first_name", "parametric.email", "parametric.user_id"}
    for column in ("prompt", "prompt_hash"):
        found = sources_of("final_prompts", column)
        assert found and not found & personal
        assert {source.split(".")[0] for source in found} == {"parametric"}
