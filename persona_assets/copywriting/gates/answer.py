"""The structure gate for a model's answer: one JSON object with the three parts."""

import json
import re

PARTS = ("subject", "preheader", "body")

_FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL | re.IGNORECASE)


def parse_answer(text: str) -> tuple[dict[str, str] | None, str | None]:
    """The parts of an answer, or the problem: one of the two is None.

    The answer must be one JSON object with the keys subject, preheader and body, each once, each
    a text that is not empty. White space around it and one Markdown fence are taken off; nothing
    else is.
    """
    if fenced := _FENCED.fullmatch(text):
        text = fenced.group(1)
    if not text.strip():
        return None, "structure: the answer is empty"
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None, "structure: the answer is not one JSON object and nothing else"
    if not isinstance(pairs, _Pairs):
        return None, "structure: the answer is JSON, but no object"
    keys = [key for key, _ in pairs]
    if missing := [part for part in PARTS if part not in keys]:
        return None, f"structure: the object lacks {', '.join(missing)}"
    if len(keys) > len(PARTS):
        return None, "structure: the object has keys beside subject, preheader and body, or twice"
    parts = dict(pairs)
    if wrong := [part for part in PARTS if not isinstance(parts[part], str)]:
        return None, f"structure: {', '.join(wrong)} must be text"
    parts = {part: parts[part].replace("\r\n", "\n").strip() for part in PARTS}
    if empty := [part for part in PARTS if not parts[part]]:
        return None, f"structure: {', '.join(empty)} must not be empty"
    return parts, None


class _Pairs(list):
    """The members of a JSON object, those given twice too."""
