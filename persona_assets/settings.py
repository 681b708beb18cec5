"""Every setting, its environment variable (prefix PERSONA_), default and meaning."""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from persona_assets.errors import InputError

MOST_TOKENS = 8_192  # that BigQuery's functions let one answer have
# What every e-mail says about who sends it.
SENDER = ("shop_name", "shop_url", "postal_address", "logo_url", "unsubscribe_url")
# One run at a time, so that each finds the tables as of one moment, and what a backfill or a
# sensor asks for waits in a queue. Where max_concurrent_runs is raised, the pool `emails` still
# says how many languages are written at a time (Deployment, Concurrency in the Dagster UI). The
# queue is looked at often: between two languages of a backfill nobody waits for it.
_DAGSTER_YAML = """\
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 1
  pools:
    granularity: run
    default_limit: 1
run_coordinator:
  module: dagster
  class: QueuedRunCoordinator
  config:
    dequeue_interval_seconds: 2
"""


class Settings(BaseSettings):
    """What a run needs to know. Reading it touches neither disk (beyond .env) nor network."""

    model_config = SettingsConfigDict(
        env_prefix="PERSONA_", env_file=".env", extra="ignore", env_ignore_empty=True
    )

    warehouse: Literal["duckdb", "bigquery"] = Field(
        "duckdb",
        description="Where the tables live: duckdb, a file in the home, or bigquery, a dataset.",
    )
    home: Path = Field(
        Path(".persona"),
        description="Folder of the warehouse file, the reports and Dagster's own storage.",
    )
    source: Path | None = Field(
        None,
        description="Folder with users, orders, order_items, products and events as Parquet or "
        "CSV; unset: the sample shop is generated.",
    )
    bigquery_project: str | None = Field(
        None, description="Project that runs and pays the jobs, for PERSONA_WAREHOUSE=bigquery."
    )
    bigquery_dataset: str = Field(
        "persona", description="Dataset of that project for our tables, made when first written."
    )
    bigquery_location: str = Field(
        "US", description="Location of our dataset and of the source: US, EU, europe-west1, …"
    )
    bigquery_source: str = Field(
        "bigquery-public-data.thelook_ecommerce",
        pattern=r"^[^.\s]+(\.[^.\s]+)*\.\w+$",
        description="project.dataset with users, orders, order_items, products and events.",
    )
    bigquery_maximum_bytes: int = Field(
        2**40, ge=1, description="Bytes that one query may bill at most; 1 TiB is about $6.25."
    )
    bigquery_usd_per_tib: float = Field(
        6.25, ge=0, description="Price of a TiB billed, USD, for estimates and receipts."
    )
    bigquery_connection: str = Field(
        "persona",
        pattern=r"^[\w.-]+$",
        description="Cloud resource connection that the model is reached over, for "
        "PERSONA_WRITER=bigquery; in the project and location above unless it is given as "
        "project.location.name.",
    )
    bigquery_model: str = Field(
        "copywriter",
        pattern=r"^\w+$",
        description="Name of the remote model in our dataset, for PERSONA_WRITER=bigquery.",
    )
    bigquery_function: Literal["AI.GENERATE_TABLE", "ML.GENERATE_TEXT"] = Field(
        "AI.GENERATE_TABLE",
        description="What asks it: AI.GENERATE_TABLE, or ML.GENERATE_TEXT, which can switch the "
        "model's thinking off.",
    )
    as_of: date | None = Field(
        None,
        description="The day the customers are described on (YYYY-MM-DD); unset: the day of the "
        "newest order.",
    )
    sample_customers: int = Field(10_000, ge=1, description="Customers of the sample shop.")
    sample_seed: int = Field(7, ge=0, description="Seed of the sample shop.")
    excluded_statuses: Annotated[tuple[str, ...], NoDecode] = Field(
        ("Cancelled", "Returned"),
        description="Order statuses that count nowhere, comma-separated.",
    )
    k_min: int = Field(2, ge=2, le=20, description="Smallest number of segments to try.")
    k_max: int = Field(20, ge=2, le=20, description="Largest number of segments to try.")
    k_exact: bool = Field(
        False,
        description="Measure the silhouette on all fitted customers instead of a sample: slower.",
    )
    moved_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of customers in another segment than before above which a check warns.",
    )
    labels: Literal["rules", "hand_on", "hand_off"] = Field(
        "rules",
        description="Who names the segments: rules, hand_on (a CSV) or hand_off (a model).",
    )
    labels_file: Path | None = Field(
        None, description="CSV with segment, label and designation, for PERSONA_LABELS=hand_on."
    )
    model: str | None = Field(
        None,
        description="Model that the endpoint offers, for PERSONA_WRITER=chat or bigquery (as "
        "gemini-2.5-flash) and PERSONA_LABELS=hand_off.",
    )
    openai_base_url: str | None = Field(
        None,
        validation_alias=AliasChoices("openai_base_url", "OPENAI_BASE_URL"),
        description="OpenAI-compatible endpoint, up to /v1; unset: OpenAI's own.",
    )
    openai_api_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("openai_api_key", "OPENAI_API_KEY"),
        description="Key for the endpoint; local servers want none.",
    )
    writer: Literal["offline", "chat", "bigquery"] = Field(
        "offline",
        description="Who writes: offline (templates in nine languages), chat (the model at the "
        "endpoint) or bigquery (a remote model inside the warehouse).",
    )
    temperature: float = Field(
        0.7, ge=0, le=2, description="How freely the model writes: 0 the same every time."
    )
    max_output_tokens: int = Field(
        1_000, ge=50, description="Most tokens of one answer; a longer one is cut off and refused."
    )
    concurrency: int = Field(
        16, ge=1, le=256, description="Requests to the endpoint at the same time."
    )
    timeout_seconds: float = Field(
        60, gt=0, description="How long to wait for one answer of the endpoint."
    )
    budget_usd: float | None = Field(
        None,
        ge=0,
        description="Most that one run, or one backfill, may spend on the model, in USD; unset: "
        "no limit.",
    )
    prices_file: Path | None = Field(
        None,
        description="TOML with prices of models, before those that come with the package "
        "(persona_assets/copywriting/prices.toml shows the form).",
    )
    refused: Literal["offline", "leave_out"] = Field(
        "offline",
        description="A customer whose three drafts were all refused by the gates: offline (the "
        "templates write) or leave_out (no e-mail).",
    )
    suppression_list: Path | None = Field(
        None,
        description="CSV or Parquet of who must not be written to: email or user_id, reason, "
        "date; unset: suppression_list in the source folder, if there is one, and on BigQuery "
        "none.",
    )
    consent: bool = Field(
        False,
        description="Whether users has a column marketing_consent; then only customers where it "
        "is true are written to.",
    )
    holdout: float = Field(
        0,
        ge=0,
        le=0.5,
        description="Share of customers who are kept without an e-mail, to compare with.",
    )
    salt: str = Field(
        "persona", description="Salt of the hashes that pick customers for --customers and holdout."
    )
    shop_name: str = Field("theLook", description="The shop's name, as customers know it.")
    shop_url: str = Field("https://shop.example", description="Where the button leads.")
    postal_address: str = Field(
        "theLook, 1 Example Street, Example City",
        description="Postal address in the footer of every e-mail.",
    )
    from_address: str = Field(
        "news@shop.example", description="Address that the e-mails come from."
    )
    logo_url: str | None = Field(
        None, description="Picture at the top of every e-mail; unset: the shop's name as text."
    )
    unsubscribe_url: str = Field(
        "https://shop.example/unsubscribe",
        description="Link in the footer to stop the e-mails; each customer's token is added to it.",
    )
    unsubscribe_key: SecretStr | None = Field(
        None,
        description="Secret that the tokens are made with; unset: made once and kept in the home.",
    )
    lock_seconds: float = Field(
        60, ge=0, description="How long to wait, in seconds, while another run is writing."
    )

    @field_validator("excluded_statuses", mode="before")
    @classmethod
    def _split(cls, value):
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @property
    def bigquery_connection_id(self) -> str:
        """The connection as project.location.name."""
        if "." in self.bigquery_connection:
            return self.bigquery_connection
        location = self.bigquery_location.lower()
        return f"{self.bigquery_project}.{location}.{self.bigquery_connection}"

    @property
    def warehouse_file(self) -> Path:
        return self.home / "warehouse.duckdb"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"


def load_settings(**overrides) -> Settings:
    """Settings from the environment and .env; an override that is None is left alone.

    Raises InputError with one line per setting that is wrong.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise InputError("\n".join(_explain(problem) for problem in error.errors())) from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"The file .env is not UTF-8 (byte {error.start + 1}): save it as UTF-8."
        ) from None
    if settings.k_min > settings.k_max:
        raise InputError(
            f"PERSONA_K_MIN is {settings.k_min} and PERSONA_K_MAX is {settings.k_max}: "
            "the smallest number of segments must not exceed the largest."
        )
    if (settings.labels == "hand_on") != (settings.labels_file is not None):
        raise InputError(
            "PERSONA_LABELS=hand_on and PERSONA_LABELS_FILE go together: set both or neither."
        )
    if settings.warehouse == "bigquery":
        if not settings.bigquery_project:
            raise InputError(
                "PERSONA_WAREHOUSE=bigquery and PERSONA_BIGQUERY_PROJECT is not set: name the "
                "project that runs and pays the jobs."
            )
        if settings.source is not None:
            raise InputError(
                "PERSONA_SOURCE is a folder and PERSONA_WAREHOUSE=bigquery reads tables: set "
                "PERSONA_BIGQUERY_SOURCE instead; `persona bigquery load` puts a folder there."
            )
    if settings.writer == "bigquery" and settings.warehouse != "bigquery":
        raise InputError(
            "PERSONA_WRITER=bigquery writes inside the warehouse: set PERSONA_WAREHOUSE=bigquery "
            "too, or PERSONA_WRITER=chat."
        )
    if (settings.writer != "offline" or settings.labels == "hand_off") and not settings.model:
        asks = (
            "PERSONA_LABELS=hand_off"
            if settings.writer == "offline"
            else f"PERSONA_WRITER={settings.writer}"
        )
        name = (
            "the remote model's endpoint, such as gemini-2.5-flash"
            if settings.writer == "bigquery"
            else "the model that the endpoint offers"
        )
        raise InputError(f"{asks} asks a model and PERSONA_MODEL is not set: name {name}.")
    if settings.writer == "bigquery" and settings.max_output_tokens > MOST_TOKENS:
        raise InputError(
            f"PERSONA_MAX_OUTPUT_TOKENS is {settings.max_output_tokens}: BigQuery's functions take "
            f"at most {MOST_TOKENS}."
        )
    return settings


def prepare_home(settings: Settings) -> None:
    """Create the home with Dagster's storage in it.

    Raises InputError when the home cannot be written.
    """
    try:
        for folder in (settings.home, settings.reports, settings.dagster_home):
            folder.mkdir(parents=True, exist_ok=True)
        config = settings.dagster_home / "dagster.yaml"
        if not config.exists():
            config.write_text(_DAGSTER_YAML, encoding="utf-8")
        probe = settings.home / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"The home {settings.home} cannot be written ({error.strerror}): set PERSONA_HOME "
            "to a folder that you may write to."
        ) from None


def variable(setting: str) -> str:
    """The environment variable of a setting."""
    return setting.upper() if setting.startswith("openai_") else f"PERSONA_{setting.upper()}"


def sender_examples(settings: Settings) -> list[str]:
    """The variables that say who sends the e-mails and still have the example's value."""
    sender = ("shop_name", "shop_url", "from_address", "postal_address", "unsubscribe_url")
    defaults = Settings.model_fields
    return [variable(n) for n in sender if getattr(settings, n) == defaults[n].default]


def _explain(problem: dict) -> str:
    name = variable(".".join(str(part) for part in problem["loc"]))
    message = problem["msg"].removeprefix("Value error, ")
    return f"{name} is {problem.get('input')!r}: {message}."
