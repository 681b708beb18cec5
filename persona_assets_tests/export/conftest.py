"""A warehouse with e-mails to export, made without a run."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from persona_assets import schemas
from persona_assets.copywriting.message import Sender, as_html, assemble
from persona_assets.copywriting.offline import compose
from persona_assets.copywriting.unsubscribe import Tokens, load_tokens, unsubscribe_link
from persona_assets.export import job
from persona_assets.settings import Settings, load_settings
from persona_assets.warehouse import DuckDBWarehouse

from ..copywriting.samples import brief

SENT_AT = datetime(2025, 2, 1, 9, 30, tzinfo=UTC)


@dataclass
class Shop:
    """A shop's warehouse and settings; `write` fills them, `export` exports."""

    warehouse: DuckDBWarehouse
    settings: Settings
    out: Path
    tokens: Tokens

    def write(self, *customers: dict[str, Any]) -> list[dict[str, Any]]:
        """Replace the tables by one e-mail per customer: user_id, and what differs from the
        ordinary. `prompt` None: the customer is not written to any more."""
        rows = [self.row(**customer) for customer in customers]
        self.load("emails", [row["email"] for row in rows])
        self.load("final_prompts", [row["prompt"] for row in rows if row["prompt"]])
        self.load("parametric", [])
        self.load("suppression_list", [])
        return [row["email"] | {"html": row["html"]} for row in rows]

    def suppress(self, *rows: dict[str, Any]) -> None:
        """Replace the suppression list."""
        absent = {"user_id": None, "email": None, "reason": "unsubscribed", "since": None}
        self.load("suppression_list", [absent | row for row in rows])

    def load(self, table: str, rows: list[dict[str, Any]]) -> None:
        schema = schemas.arrow_schema(getattr(schemas, table))
        self.warehouse.replace(table, schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])

    def row(
        self, user_id: int, language: str = "en", first_name: str | None = "Camille", **given: Any
    ) -> dict[str, Any]:
        prompt = given.pop("prompt", {})
        subject, preheader, body = compose(brief(language))
        parts = {"subject": subject, "preheader": preheader}
        sender = Sender.from_settings(self.settings)
        link = unsubscribe_link(self.settings.unsubscribe_url, self.tokens.token(user_id))
        text = assemble(
            language=language, lifecycle="active", first_name=first_name,
            subject=given.get("subject", subject), body=given.pop("body", body), sender=sender,
            unsubscribe_link=link,
        )  # fmt: skip
        email = {
            "user_id": user_id, "email": f"customer{user_id}@example.org", "language": language,
            "country": "France", "segment": "seg_1", "lifecycle": "active", **parts,
            "marketing_email": text, "prompt_hash": "ab" * 32, "writer": "offline:1",
            "attempt": 1, "segmentation_run": "run 1", "as_of": date(2025, 1, 31),
            "run_id": "run 2", "written_at": SENT_AT,
        } | given  # fmt: skip
        html = as_html(
            text, language=language, subject=email["subject"], preheader=email["preheader"],
            sender=sender, unsubscribe_link=link,
        )  # fmt: skip
        return {
            "email": email,
            "html": html,
            "prompt": None
            if prompt is None
            else dict.fromkeys(schemas.columns(schemas.final_prompts))
            | {name: email[name] for name in ("user_id", "email", "language")}
            | {"first_name": first_name, "holdout": False}
            | prompt,
        }

    def export(self, form: str, *languages: str, **more: Any) -> job.Summary:
        """Export to `out`; `said` keeps what was told of the progress."""
        self.said: list[str] = []
        given = {"out": self.out, "sent_at": SENT_AT, "tell": self.said.append} | more
        return job.export(
            self.warehouse, self.settings, form, list(languages or ["en"]), **given
        )


@pytest.fixture
def make_shop(tmp_path: Path) -> Callable[..., Shop]:
    """A shop with some settings changed."""

    def make(**settings: Any) -> Shop:
        given = {"home": tmp_path / "home", "unsubscribe_key": "a secret"} | settings
        loaded = load_settings(**given)
        loaded.home.mkdir(exist_ok=True)
        warehouse = DuckDBWarehouse(loaded.warehouse_file, wait_seconds=1)
        return Shop(warehouse, loaded, tmp_path / "out", load_tokens(loaded))

    return make


@pytest.fixture
def shop(make_shop: Callable[..., Shop]) -> Shop:
    """A shop with the example's settings."""
    return make_shop()
