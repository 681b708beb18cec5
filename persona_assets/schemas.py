"""One pandera model per table: its columns, their types, their meaning and their bounds.

The docstring of a model is the table's description in the Dagster UI. Money is in USD, time in
UTC, a month is 30.44 days. `cluster_by` in a model's metadata are the columns that large tables are
sorted by, where the warehouse can.
"""

import inspect

import ibis
import ibis.expr.datatypes as dt
import pandera.ibis as pa
import pyarrow
from pandera.dtypes import immutable
from pandera.engines import ibis_engine

from persona_assets.copywriting.brief import LIFECYCLES
from persona_assets.languages import LANGUAGES
from persona_assets.warehouse.base import Layout

_STRINGS = dt.Array(dt.string)
_UTC = dt.Timestamp(timezone="UTC")
_ADDRESS = r"^[^@\s]+@[^@\s]+$"


@ibis_engine.Engine.register_dtype(
    equivalents=[_STRINGS, dt.Array(dt.String(nullable=False))]
)
@immutable
class Strings(ibis_engine.DataType):
    """A list of strings, which pandera does not know by itself; on BigQuery none of them is NULL
    and neither is the list."""

    type = _STRINGS

    def check(self, pandera_dtype, data_container=None) -> bool:
        found = getattr(pandera_dtype, "type", None)
        return isinstance(found, dt.Array) and isinstance(found.value_type, dt.String)


@ibis_engine.Engine.register_dtype(equivalents=[_UTC])
@immutable
class Timestamp(ibis_engine.DataType):
    """A moment in UTC, whatever number of digits of a second the engine keeps."""

    type = _UTC

    def check(self, pandera_dtype, data_container=None) -> bool:
        found = getattr(pandera_dtype, "type", None)
        return isinstance(found, dt.Timestamp) and found.timezone == "UTC"


def _column(description: str, *, nullable: bool = False, **bounds):
    return pa.Field(description=description, nullable=nullable, **bounds)


class Table(pa.DataFrameModel):
    """What all tables share: no column more or less than declared."""

    class Config:
        strict = True
        metadata = {}


class users(Table):
    """Customers with an account at the shop, as the source has them."""

    id: int = _column("Customer id.")
    first_name: str = _column("First name as the customer gave it.", nullable=True)
    email: str = _column("Address as the customer gave it.", nullable=True)
    country: str = _column("Country in any spelling.", nullable=True)
    created_at: Timestamp = _column("When the account was made.", nullable=True)
    marketing_consent: bool = _column(
        "Whether the customer wants e-mails; NULL where the shop does not ask.", nullable=True
    )

    class Config:
        unique = ["id"]


class orders(Table):
    """Orders, one row each."""

    order_id: int = _column("Order id.")
    user_id: int = _column("Customer who ordered.", nullable=True)
    status: str = _column("Complete, Shipped, Processing, Cancelled, Returned, …", nullable=True)
    created_at: Timestamp = _column("When it was ordered.")

    class Config:
        unique = ["order_id"]


class order_items(Table):
    """Lines of orders: one row per piece bought."""

    id: int = _column("Line id.")
    order_id: int = _column("Order that the line belongs to.", nullable=True)
    product_id: int = _column("Product bought.", nullable=True)
    sale_price: float = _column("Price paid, USD.", nullable=True)

    class Config:
        unique = ["id"]


class products(Table):
    """The catalogue."""

    id: int = _column("Product id.")
    name: str = _column("Name as the shop shows it.", nullable=True)

    class Config:
        unique = ["id"]


class events(Table):
    """What visitors did on the site; anonymous ones have no user_id."""

    id: int = _column("Event id.")
    user_id: int = _column("Customer, if known.", nullable=True)
    sequence_number: int = _column("Position in the visit.", nullable=True)
    created_at: Timestamp = _column("When it happened.", nullable=True)
    event_type: str = _column("home, department, product, cart, purchase, cancel, …", nullable=True)

    class Config:
        unique = ["id"]


class countries(Table):
    """Every spelling of every country, from Unicode's CLDR, with the language to write in."""

    spelling: str = _column("A spelling, lower case.")
    country: str = _column("The country's name in English.")
    territory: str = _column("ISO 3166 alpha-2 code.", str_matches=r"^[A-Z]{2}$")
    language: str = _column("Language that its customers are written to in.", isin=[*LANGUAGES])
    language_is_official: bool = _column("False: English, for want of one of the nine.")

    class Config:
        unique = ["spelling"]


class suppression_list(Table):
    """Who must not be written to, by customer or by address, and why."""

    user_id: int = _column("Customer.", nullable=True)
    email: str = _column("Address, trimmed, lower case.", nullable=True)
    reason: str = _column("Why: unsubscribed, bounced, complained, no consent, …")
    since: dt.Date = _column("Day of the request.", nullable=True)


class parametric(Table):
    """One row of behaviour per customer on the day as_of.

    Orders with an excluded status, or after as_of, count nowhere.
    """

    user_id: int = _column("Customer.")
    first_name: str = _column("First name, trimmed.", nullable=True)
    email: str = _column("Address, trimmed.", nullable=True)
    country: str = _column("Country in English; as given where it is unknown.", nullable=True)
    territory: str = _column("ISO 3166 alpha-2 code of the country, if known.", nullable=True)
    language: str = _column("Language to write in.", isin=[*LANGUAGES])
    total_orders: int = _column("Orders.", ge=0)
    avg_basket: float = _column("Revenue per order, USD; NULL without orders.", nullable=True)
    total_revenue: float = _column("Sum of the prices paid, USD.")
    top_products_user: Strings = _column(
        "Up to three product names, most bought first, ties by name.", nullable=True
    )
    last_event: str = _column("Newest event on the site.", nullable=True)
    top_products_country: Strings = _column(
        "Up to three product names, most bought in the country first, ties by name.",
        nullable=True,
    )
    first_order_date: dt.Date = _column("Day of the first order.", nullable=True)
    last_order_date: dt.Date = _column("Day of the newest order.", nullable=True)
    months_since_last_order: float = _column(
        "Recency: months from the newest order to as_of; NULL without orders.",
        nullable=True,
        ge=0,
    )
    freq_orders_per_month: float = _column(
        "Orders per month since the first one, over one month at least; 0 without orders.", ge=0
    )
    freq_orders_per_quarter: float = _column("Three times freq_orders_per_month.", ge=0)
    as_of: dt.Date = _column("Day that the row describes.")

    class Config:
        unique = ["user_id"]
        metadata = {"cluster_by": ["user_id"]}


class cluster_metrics(Table):
    """How good each number of segments is, and which one was chosen."""

    k: int = _column("Number of segments.", ge=1)
    inertia: float = _column("Sum of squared distances to the centroids; reported, not scored.")
    silhouette: float = _column("Mean silhouette, -1 to 1.", nullable=True, ge=-1, le=1)
    calinski_harabasz: float = _column("Calinski-Harabasz index.", nullable=True, ge=0)
    davies_bouldin: float = _column("Davies-Bouldin index.", nullable=True, ge=0)
    stability: float = _column(
        "Mean adjusted Rand index over bootstraps; NULL where k was out of the running.",
        nullable=True,
        ge=-1,
        le=1,
    )
    score: float = _column("Mean of the scaled metrics, 0 to 1.", nullable=True, ge=0, le=1)
    tied: bool = _column("As good as the best, within 0.02 of its score.")
    chosen: bool = _column("The k that the segments use.")

    class Config:
        unique = ["k"]


class centroids(Table):
    """The k-means model: one row per segment of buyers.

    A buyer belongs to the segment with the nearest centre, measured in LN(1 + x) over deviation.
    """

    segment: str = _column(
        "seg_N; N is the place by mean revenue when the segment was first found, and stays.",
        str_matches=r"^seg_[0-9]+$",
    )
    customers: int = _column("Customers of the segment among those the model was fitted on.", ge=1)
    total_orders: float = _column("Mean orders.", ge=0)
    avg_basket: float = _column("Mean revenue per order, USD.")
    total_revenue: float = _column("Mean revenue, USD.")
    months_since_last_order: float = _column("Mean months since the newest order.", ge=0)
    freq_orders_per_month: float = _column("Mean orders per month.", ge=0)
    centre_total_orders: float = _column("Mean of LN(1 + total_orders).", ge=0)
    centre_total_revenue: float = _column("Mean of LN(1 + total_revenue).", ge=0)
    centre_months_since_last_order: float = _column(
        "Mean of LN(1 + months_since_last_order).", ge=0
    )
    deviation_total_orders: float = _column("Standard deviation of LN(1 + total_orders).", gt=0)
    deviation_total_revenue: float = _column("Standard deviation of LN(1 + total_revenue).", gt=0)
    deviation_months_since_last_order: float = _column(
        "Standard deviation of LN(1 + months_since_last_order).", gt=0
    )
    last_number: int = _column("The highest N of seg_N that was ever given out.", ge=1)
    segmentation_run: str = _column("Dagster run that fitted the model.")

    class Config:
        unique = ["segment"]


class customer_segments(Table):
    """Every customer in one segment; those without orders are prospects by rule."""

    user_id: int = _column("Customer.")
    segment: str = _column("seg_N, or prospects.", str_matches=r"^(seg_[0-9]+|prospects)$")
    segmentation_run: str = _column("Dagster run that fitted the model.", nullable=True)

    class Config:
        unique = ["user_id"]
        metadata = {"cluster_by": ["user_id"]}


class previous_segments(Table):
    """The segments before they were last made, to see who moved."""

    user_id: int = _column("Customer.")
    segment: str = _column("seg_N, or prospects.")

    class Config:
        unique = ["user_id"]
        metadata = {"cluster_by": ["user_id"]}


class segment_labels(Table):
    """A name and a designation per segment, for people; no e-mail ever says them."""

    segment: str = _column("seg_N, or prospects.")
    segment_label: str = _column("Name in at most five words.", str_length={"min_value": 1})
    designation: str = _column("One sentence about the segment.", str_length={"min_value": 1})
    method: str = _column("hand_on: a CSV; hand_off: a model; rules: from the centroids.")
    writer: str = _column("File, model or rule set that the label comes from.")
    tone: str = _column("How to write to these customers, as the model says.", nullable=True)

    class Config:
        unique = ["segment"]


class final_prompts(Table):
    """One prompt per address that may be written to: what the writer is told, and nothing more.

    The prompt holds neither name nor address. Its facts are rounded, so that it stays the same
    from day to day until something about the customer changes. Customers on the suppression list
    have none, and of several with one address only the one who ordered last has.
    """

    user_id: int = _column("Customer.")
    email: str = _column("Address that the e-mail goes to.", str_matches=_ADDRESS)
    first_name: str = _column("Merged into the greeting after writing.", nullable=True)
    country: str = _column("Country in English; as given where it is unknown.", nullable=True)
    territory: str = _column("ISO 3166 alpha-2 code of the country, if known.", nullable=True)
    language: str = _column("Language of the e-mail; its partition.", isin=[*LANGUAGES])
    segment: str = _column("Segment of the customer.")
    segment_label: str = _column("Name of the segment.")
    designation: str = _column("What the segment is.")
    lifecycle: str = _column(
        "Where this customer stands, from the customer's own numbers; it sets the tone.",
        isin=[*LIFECYCLES],
    )
    total_orders: int = _column("Orders.", ge=0)
    avg_basket: int = _column("Revenue per order, whole USD.", nullable=True)
    order_interval_months: int = _column(
        "Months from order to order on average, at least 1; NULL below two orders.",
        nullable=True,
        ge=1,
    )
    last_order_month: dt.Date = _column("First day of the newest order's month.", nullable=True)
    last_event: str = _column("Newest event on the site.", nullable=True)
    top_products_user: Strings = _column("The customer's own products.", nullable=True)
    top_products_country: Strings = _column("Popular products in the country.", nullable=True)
    prompt: str = _column("What the writer is told.", str_length={"min_value": 1})
    template_version: str = _column("Version of the words around the facts.")
    prompt_hash: str = _column(
        "SHA-256 of template_version and prompt.", str_matches=r"^[0-9a-f]{64}$"
    )
    audience_hash: str = _column("Salted hash that orders customers for --customers.")
    holdout: bool = _column("Kept without an e-mail, to compare with.")
    segmentation_run: str = _column("Dagster run that fitted the segments.", nullable=True)
    as_of: dt.Date = _column("Day that the prompt describes.")

    class Config:
        unique = ["user_id"]
        metadata = {"cluster_by": ["language", "prompt_hash"]}


class drafts(Table):
    """What writers wrote: a cache, keyed by prompt and writer, that only ever grows."""

    prompt_hash: str = _column("Prompt that the draft answers.")
    writer: str = _column("Writer, with everything that could change its text.")
    attempt: int = _column("1, or more after rejections.", ge=1)
    language: str = _column("Language of the prompt.", isin=[*LANGUAGES])
    subject: str = _column("Subject line.")
    preheader: str = _column("Line that mail clients show after the subject.")
    body: str = _column("Paragraphs between greeting and button.")
    status: str = _column("accepted or rejected.", isin=["accepted", "rejected"])
    problems: Strings = _column("Gates that the draft did not pass.", nullable=True)
    input_tokens: int = _column("Tokens read by the model; 0 offline.", ge=0)
    output_tokens: int = _column("Tokens written by the model; 0 offline.", ge=0)
    cost_usd: float = _column("Price of the draft, USD.", ge=0)
    run_id: str = _column("Dagster run that wrote it.")
    written_at: Timestamp = _column("When it was written.")

    class Config:
        unique = ["prompt_hash", "writer", "attempt"]
        metadata = {"cluster_by": ["language", "writer", "prompt_hash"]}


class emails(Table):
    """The e-mails, one per customer, partitioned by language, each with what it was made from."""

    user_id: int = _column("Customer.")
    email: str = _column("Address that the e-mail goes to.", str_matches=_ADDRESS)
    language: str = _column("Language; the partition.", isin=[*LANGUAGES])
    country: str = _column("Country in English; as given where it is unknown.", nullable=True)
    segment: str = _column("Segment of the customer.")
    lifecycle: str = _column("Where the customer stands; it set the tone.", isin=[*LIFECYCLES])
    subject: str = _column("Subject line.", str_length={"min_value": 1, "max_value": 50})
    preheader: str = _column("Preheader.", str_length={"min_value": 1, "max_value": 110})
    marketing_email: str = _column(
        "The e-mail as text; its HTML is made of it.", str_length={"min_value": 1}
    )
    prompt_hash: str = _column("Prompt that it was written from.")
    writer: str = _column("Writer of its draft.")
    attempt: int = _column("Attempt of its draft.", ge=1)
    segmentation_run: str = _column("Dagster run that fitted the segments.", nullable=True)
    as_of: dt.Date = _column("Day that the customer was described on.")
    run_id: str = _column("Dagster run that made the e-mail.")
    written_at: Timestamp = _column("When the e-mail was made.")

    class Config:
        unique = ["user_id"]
        metadata = {"cluster_by": ["language", "user_id"]}


SOURCES = (users, orders, order_items, products, events)


def columns(model: type[Table]) -> dict[str, pa.Column]:
    """The columns of a table by name, with pandera's dtype, nullable and description."""
    return dict(model.to_schema().columns)


def key(model: type[Table]) -> list[str]:
    """The columns that are unique together."""
    return list(model.to_schema().unique or [])


def arrow_schema(model: type[Table]) -> pyarrow.Schema:
    """The table's columns as Arrow types."""
    types = {name: spec.dtype.type for name, spec in columns(model).items()}
    return ibis.schema(types).to_pyarrow()


def describe(model: type[Table]) -> str:
    """What the table is, from its model's docstring."""
    return inspect.cleandoc(model.__doc__ or "")


def layouts() -> dict[str, Layout]:
    """How a warehouse is to make each of our tables, by name."""
    sources = {model.__name__ for model in SOURCES}
    models = [model for model in Table.__subclasses__() if model.__name__ not in sources]
    return {
        model.__name__: Layout(
            arrow_schema(model),
            describe(model),
            {name: spec.description for name, spec in columns(model).items()},
            tuple(model.__config__.metadata.get("cluster_by", ())),
        )
        for model in models
    }
