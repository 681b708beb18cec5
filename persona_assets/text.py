"""Showing untrusted text to people: addresses masked, values escaped and shortened."""

import html
import re
from collections.abc import Mapping
from typing import Any

_ADDRESS = re.compile(r"([^@\s<>|;,]?)[^@\s<>|;,]*@([^@\s<>|;,]+)")
# Categories Cc, without the line feed, and Cs; embeddings and overrides of direction.
_UNPRINTABLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e]")
_MARKUP = re.compile(r"[\\`*_{}\[\]<>()#+\-.!|~&:]")


def mask(text: str) -> str:
    """Every address in a text as its first letter and its domain: m…@example.org."""
    return _ADDRESS.sub(r"\1…@\2", text)


def printable(text: str) -> str:
    """The text without the control characters and the overrides of direction that a terminal
    would obey; lines stay lines."""
    return _UNPRINTABLE.sub("", text)


def as_markdown(rows: list[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table; values are escaped, shortened, and addresses masked."""
    if not rows:
        return "No rows."
    lines = [" | ".join(rows[0]), " | ".join("---" for _ in rows[0])]
    lines += [" | ".join(_cell(value) for value in row.values()) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def as_quote(text: str) -> str:
    """A text as a Markdown quotation, every character of it shown as it is."""
    lines = (_MARKUP.sub(r"\\\g<0>", line) for line in mask(printable(text)).split("\n"))
    return "\n".join(f"> {line}  " for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        value = f"{value:,.4g}" if abs(value) < 1 else f"{value:,.2f}"
    text = " ".join(mask("NULL" if value is None else str(value)).split())
    text = text if len(text) <= 80 else text[:79] + "…"
    return html.escape(text).replace("|", "\\|").replace("`", "&#96;")
