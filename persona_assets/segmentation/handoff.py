"""Labels by a model: one question per segment, about its centroid."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from persona_assets.copywriting.chat import Messages
from persona_assets.errors import PersonaError
from persona_assets.segmentation.labels import SegmentLabel

TEMPERATURE = 0.2
TOKENS = 150
ATTEMPTS = 3
WORDS = 5
SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"type": "string"},
        "designation": {"type": "string"},
        "tone": {"type": "string"},
    },
    "required": ["label", "designation", "tone"],
    "additionalProperties": False,
}
_TASK = (
    "You name customer segments of an online shop for its analysts. Answer with JSON: label, at "
    "most five words, no markup; designation, one sentence about these customers; tone, a few "
    "words on how to write to them. Say recent, loyal, dormant, high-value or new only where the "
    "numbers bear it out: recent means a newest order at most six months ago."
)


class Model(Protocol):
    """What can be asked: chat.ChatModel, bigquery_model.BigQueryModel."""

    model: str

    def ask(
        self,
        messages: Messages,
        name: str,
        schema: Mapping[str, Any],
        temperature: float,
        max_tokens: int,
    ) -> Any:
        """The answer to the messages, as JSON that the schema describes."""
        ...


def ask_for_labels(
    model: Model,
    centroids: Sequence[Mapping[str, Any]],
    progress: Callable[[str], None] = lambda message: None,
) -> list[SegmentLabel]:
    """A label per row of the table centroids, all different.

    An answer that is empty, has a label of more than WORDS words or one that another segment has
    is asked for again, with the reason, ATTEMPTS times in all. Raises PersonaError when the last
    one is no good either, and whatever the model raises.
    """
    buyers = sum(row["customers"] for row in centroids)
    revenue = sum(row["total_revenue"] * row["customers"] for row in centroids) / max(buyers, 1)
    labels: list[SegmentLabel] = []
    for row in centroids:
        label = _ask(model, row, revenue, [given.segment_label for given in labels])
        progress(f"{label.segment}: {label.segment_label}")
        labels.append(label)
    return labels


def _ask(
    model: Model, row: Mapping[str, Any], revenue: float, taken: Sequence[str]
) -> SegmentLabel:
    messages = [
        {"role": "system", "content": _TASK},
        {"role": "user", "content": _question(row, revenue, taken)},
    ]
    for _ in range(ATTEMPTS):
        answer = model.ask(messages, "segment_label", SCHEMA, TEMPERATURE, TOKENS)
        parts = _parts(answer)
        wrong = _wrong(parts, taken)
        if wrong is None:
            return SegmentLabel(
                row["segment"],
                parts["label"],
                parts["designation"],
                "hand_off",
                model.model,
                parts["tone"],
            )
        messages += [
            {"role": "assistant", "content": str(answer)},
            {"role": "user", "content": f"That will not do: {wrong}. Answer again."},
        ]
    raise PersonaError(
        f"The model {model.model} gave no usable label for {row['segment']} in {ATTEMPTS} "
        f"attempts: {wrong}. Set PERSONA_LABELS=rules, or label by hand."
    )


def _question(row: Mapping[str, Any], revenue: float, taken: Sequence[str]) -> str:
    lines = [
        f"customers: {row['customers']:,}",
        f"mean orders: {row['total_orders']:.2f}",
        f"mean revenue per order, USD: {row['avg_basket']:.2f}",
        f"mean revenue, USD: {row['total_revenue']:.2f} (all buyers: {revenue:.2f})",
        f"mean months since the newest order: {row['months_since_last_order']:.1f}",
        f"mean orders per month: {row['freq_orders_per_month']:.2f}",
    ]
    if taken:
        lines.append(f"labels that other segments have: {'; '.join(taken)}")
    return "\n".join(lines)


def _parts(answer: Any) -> dict[str, str]:
    given = answer if isinstance(answer, dict) else {}
    return {
        name: " ".join(value.split()) if isinstance(value := given.get(name), str) else ""
        for name in SCHEMA["properties"]
    }


def _wrong(parts: Mapping[str, str], taken: Sequence[str]) -> str | None:
    empty = [name for name, value in parts.items() if not value]
    if empty:
        return f"{' and '.join(empty)} is empty"
    if len(parts["label"].split()) > WORDS:
        return f"the label has more than {WORDS} words"
    if parts["label"].casefold() in {label.casefold() for label in taken}:
        return "another segment has this label"
    return None
