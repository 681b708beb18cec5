"""Gates on the form of a draft: parts, lengths, characters, markup."""

import re
import unicodedata

from ..brief import Draft
from ..phrasebook import MAX_SUBJECT
from .text import normalised
from .words import Words

MAX_PREHEADER = 110
MAX_BODY = 2_500
# In columns, where ideographs, kana and Hangul take two. A desktop client shows about 80 of a
# subject: 50 characters in any script, but of ideographs at most 40.
MAX_SUBJECT_COLUMNS = 80
MIN_BODY_COLUMNS = 60
MAX_SIGNATURE_COLUMNS = 40

_SAYS_NOTHING = re.compile(r"\W*(?:none|null|nil|n/?a|nan|undefined|tb[da]|todo|empty)?\W*", re.I)
_MOJIBAKE = re.compile("[ÃÂ][\u0080-\u00bf]|â€|\ufffd")
# Controls, line separators, bidi overrides, halves of characters, private use, tags.
_BROKEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\ud800-\udfff\ue000-\uf8ff"
    "\U000e0000-\U000e007f]"
)
_MARKUP = re.compile(
    r"</?(?:a|b|br|body|button|center|div|em|font|footer|h[1-6]|head|hr|html|i|img|li|meta|ol|p"
    r"|s|small|span|strong|style|sub|sup|table|tbody|td|th|title|tr|u|ul)\b[^<>\n]*>"
    r"|<!|&(?:#\d+|#x[0-9a-f]+|[a-z]{2,8});"
    r"|```|\*\*|__(?=\w)|~~|\]\(|^\s*#{1,6}\s|^\s*>\s|^\s*(?:[-*+]|\d{1,2}[.)])\s"
    r"|(?<![\w*])\*\w[^*\n]*\*(?![\w*])|\\[nrt\"]|^\s*(?:---+|===+|\*\*\*+)\s*$",
    re.IGNORECASE | re.MULTILINE,
)


def empty(draft: Draft) -> str | None:
    """A part without a word."""
    parts = {"subject": draft.subject, "preheader": draft.preheader, "body": draft.body}
    found = [name for name, text in parts.items() if _SAYS_NOTHING.fullmatch(text)]
    return f"empty: {', '.join(found)}" if found else None


def finish_reason(draft: Draft) -> str | None:
    """An answer that the model did not end by itself."""
    if draft.finish_reason == "stop":
        return None
    return f"finish reason: {draft.finish_reason[:40] or 'none'}"


def length(draft: Draft) -> str | None:
    """A subject over 50 characters or 80 columns, a preheader over 110 characters, a body under
    60 columns or over 2,500 characters."""
    if len(draft.subject) > MAX_SUBJECT:
        return f"length: subject of {len(draft.subject)}, more than {MAX_SUBJECT} characters"
    if len(draft.subject) * 2 > MAX_SUBJECT_COLUMNS < columns(draft.subject):
        return f"length: subject wider than {MAX_SUBJECT_COLUMNS} columns"
    if len(draft.preheader) > MAX_PREHEADER:
        return f"length: preheader of {len(draft.preheader)}, more than {MAX_PREHEADER} characters"
    if len(draft.body) > MAX_BODY:
        return f"length: body of {len(draft.body)}, more than {MAX_BODY} characters"
    if len(draft.body) < MIN_BODY_COLUMNS and columns(draft.body) < MIN_BODY_COLUMNS:
        return f"length: body of less than {MIN_BODY_COLUMNS} columns"
    return None


def control_character(draft: Draft) -> str | None:
    """Control characters, bidi overrides, private or broken characters; in subject and preheader
    line breaks too."""
    for name, text in (("subject", draft.subject), ("preheader", draft.preheader)):
        if "\n" in text:
            return f"control character: line break in {name}"
    for name, text in (
        ("subject", draft.subject), ("preheader", draft.preheader), ("body", draft.body)
    ):  # fmt: skip
        if not text.replace("\n", "").isprintable() and (found := _BROKEN.search(text)):
            return f"control character: U+{ord(found.group()):04X} in {name}"
    return None


def mojibake(text: str) -> str | None:
    """UTF-8 that was read as another encoding."""
    return "control character: wrongly decoded text" if _MOJIBAKE.search(text) else None


def columns(text: str) -> int:
    """Width in columns: ideographs, kana and Hangul take two."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def markup(text: str) -> str | None:
    """HTML, Markdown or escaped characters in a plain text; product names are blanked out."""
    found = _MARKUP.search(text)
    return f"structure: markup {found.group().strip()[:20]!r}" if found else None


def heading(sentence: str, words: Words) -> str | None:
    """The name of a part at the start of a line, such as "Subject:"."""
    return "structure: names a part" if words.headings.match(normalised(sentence)) else None


def greeting(first: str, words: Words) -> str | None:
    """A greeting in the body's first line: the merged one stands before it.

    A short line that ends with a comma or colon is one, whatever it says.
    """
    said = normalised(first).rstrip()
    salutation = said[-1:] in {",", "،", "、", ":"} and columns(first) <= MAX_SIGNATURE_COLUMNS
    return "structure: greeting in the body" if salutation or words.greetings.match(said) else None


def sign_off(late: str, words: Words) -> str | None:
    """A sign-off in one of the body's last sentences: it is merged afterwards."""
    if len(late) > 80 or not words.sign_offs.match(normalised(late)):
        return None
    return "structure: sign-off in the body"


def signature(last: str) -> str | None:
    """A short last line that ends with a letter: no sentence, but a name or a button's text."""
    if last[-1:].isalpha() and columns(last) <= MAX_SIGNATURE_COLUMNS:
        return "structure: the last line is no sentence"
    return None
