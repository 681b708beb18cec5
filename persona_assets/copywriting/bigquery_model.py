"""Asking Gemini one question at a time through BigQuery's AI.GENERATE, for segment labels."""

from collections.abc import Mapping
from typing import Any

from persona_assets.errors import PersonaError
from persona_assets.settings import Settings
from persona_assets.warehouse import Warehouse, read_query

from .chat import Messages
from .gemini import lasts, model_params, passes, read_response
from .writer import ATTEMPTS


class BigQueryModel:
    """A model at a Vertex AI endpoint, asked over a Cloud resource connection
    (project.location.name)."""

    def __init__(self, warehouse: Warehouse, model: str, connection: str) -> None:
        self.warehouse = warehouse
        self.model = model
        self.connection = connection

    @classmethod
    def from_settings(cls, settings: Settings, warehouse: Warehouse) -> "BigQueryModel":
        """The model that the settings name."""
        return cls(warehouse, settings.model, settings.bigquery_connection_id)

    def ask(
        self,
        messages: Messages,
        name: str,
        schema: Mapping[str, Any],
        temperature: float,
        max_tokens: int,
    ) -> dict[str, Any]:
        """The answer to the messages: the texts that the schema describes, which are those that
        sql/generate/segment_label.sql asks for.

        A failure that passes is asked for again, ATTEMPTS times in all. Raises PersonaError when
        the last fails too, when the model refuses, and when its answer is cut off.
        """
        asked = read_query("generate/segment_label").settled(
            {
                "endpoint": self.model,
                "connection": self.connection,
                "model_params": model_params(self.model, temperature, max_tokens),
            }
        )
        prompt = "\n\n".join(
            f"Your answer was: {said['content']}" if said["role"] == "assistant"
            else said["content"]
            for said in messages
        )  # fmt: skip
        for _ in range(ATTEMPTS):
            (row,) = self.warehouse.read(asked, {"prompt": prompt}).to_pylist()
            status = row["status"] or ""
            if not passes(status):
                break
        if status:
            mend = (
                "`persona doctor` says what is missing"
                if lasts(status)
                else "run again, or set PERSONA_LABELS=rules"
            )
            raise PersonaError(f"BigQuery's model {self.model} gave no label ({status}): {mend}.")
        response = read_response(row["full_response"])
        if response and response.finish_reason == "max_tokens":
            raise PersonaError(
                f"BigQuery's model {self.model} was cut off after {max_tokens} tokens: it writes "
                "too much."
            )
        return {part: row[part] for part in schema["properties"]}
