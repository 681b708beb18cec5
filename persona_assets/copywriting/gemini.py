"""Gemini behind BigQuery's AI functions: what it is told beside the prompt, and what a row says.

A response is JSON as the API's generateContent gives it, with names in snake_case or camelCase; a
status is empty where all went well.
https://docs.cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-generate-table
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_PASSING = re.compile(
    r"^a retryable error occurred|RESOURCE.EXHAUSTED|UNAVAILABLE|DEADLINE.EXCEEDED|ABORTED"
    r"|\bINTERNAL\b|\b(?:429|500|503|504)\b",
    re.IGNORECASE,
)
_LASTING = re.compile(
    r"PERMISSION.DENIED|UNAUTHENTICATED|NOT.FOUND|\b(?:401|403|404)\b", re.IGNORECASE
)


def passes(status: str) -> bool:
    """Whether a row that failed like this is worth asking for again; it was not charged."""
    return bool(_PASSING.search(status))


def lasts(status: str) -> bool:
    """Whether every other row will fail like this, until somebody does something about it."""
    return bool(_LASTING.search(status)) and not passes(status)


def model_params(
    model: str, temperature: float, max_tokens: int, parts: Sequence[str] = ()
) -> dict[str, Any]:
    """The body of a request but for its contents, with as little thinking as the model allows:
    what a model thinks is charged, and counts against max_tokens. `parts`: texts that the answer
    must be an object of, where nothing else says so."""
    config: dict[str, Any] = {"temperature": temperature, "max_output_tokens": max_tokens}
    if "2.5-pro" in model:
        config["thinking_config"] = {"thinking_budget": 128}
    elif "2.5" in model:
        config["thinking_config"] = {"thinking_budget": 0}
    elif re.search(r"gemini-[3-9]", model):
        config["thinking_config"] = {"thinking_level": "LOW"}
    if parts:
        config["response_mime_type"] = "application/json"
        config["response_schema"] = {
            "type": "OBJECT",
            "properties": {name: {"type": "STRING"} for name in parts},
            "required": [*parts],
        }
    return {"generation_config": config}


@dataclass(frozen=True, slots=True)
class Response:
    """What a response says: its text, why it ended ('stop' when the model ended it), and tokens
    read and written, thinking among them; None where it doesn't say."""

    text: str
    finish_reason: str
    input_tokens: int | None
    output_tokens: int | None


def read_response(given: str | None) -> Response | None:
    """The response in a row; None where there is none."""
    try:
        said = json.loads(given or "null")
    except ValueError:
        return None
    if not isinstance(said, Mapping) or not said:
        return None
    candidates = _of(said, "candidates", list)
    candidate = candidates[0] if candidates and isinstance(candidates[0], Mapping) else {}
    parts = _of(_of(candidate, "content", dict), "parts", list)
    text = "".join(
        _of(part, "text", str)
        for part in parts
        if isinstance(part, Mapping) and not part.get("thought")
    )
    blocked = _of(_of(said, "prompt_feedback", dict), "block_reason", str)
    usage = _of(said, "usage_metadata", dict)
    read, written, thought, total = (
        _of(usage, f"{name}_token_count", int) for name in ("prompt", "candidates", "thoughts",
                                                           "total")
    )  # fmt: skip
    return Response(
        text,
        (_of(candidate, "finish_reason", str) or blocked or "none").lower(),
        read if usage else None,
        max(written + thought, total - read) if usage else None,
    )


def _of(given: Mapping[str, Any], name: str, kind: type) -> Any:
    """A member by its name in either spelling; the kind's empty value where it is missing."""
    head, *tail = name.split("_")
    for spelled in (name, head + "".join(map(str.capitalize, tail))):
        if isinstance(given.get(spelled), kind):
            return given[spelled]
    return kind()
