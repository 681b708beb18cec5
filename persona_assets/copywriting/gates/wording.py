"""Gates on the wording of one sentence: placeholders, internal words, offers, stock phrases.

Product names must be blanked out of the sentence.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator

from .. import phrasebook
from .text import BLANK, normalised
from .words import Words

_SHOWN = 40
_UNSPACED = frozenset({"ja", "ko", "zh"})
_SEPARATORS = re.compile(r"[\s_\-]+")

# Merge fields of template languages and mail platforms, and what stands for a value to come.
_MERGE_FIELD = re.compile(
    r"\{\{|\}\}|\{%|%\}|\$\{|<%|%>|\*\||\|\*|\[\[|\]\]"
    rf"|\{{[\w .|:{BLANK}-]{{1,40}}\}}"
    r"|%%?[A-Za-z][A-Za-z_ ]{1,30}%%?|%\([A-Za-z_]+\)s|(?<![\w%])%[sd](?!\w)|@@?\w+@@|##\w+##"
    r"|(?<!\w):[a-z]+(?:_[a-z]+)+:"
    rf"|<(?![<\d ])[^<>\n{BLANK}]{{1,40}}>|<\s*{BLANK}\s*>"
    r"|(?<![A-Za-z0-9_])(?:[A-Za-z]+_[A-Za-z_]+|_{3,}|X{2,}|x{3,}|F?NAME|(?:FIRST|LAST)_?NAME|T[OB]D[OA]?"
    r"|[a-z]+(?:Name|Product|Date|Link|Url))(?![A-Za-z0-9_])"
    r"|[○◯〇●×✕△□＿]{2,}|[OXＯＸ]{2}(?=さん|様|さま|님|先生|女士|小姐|씨)|[○◯〇](?=さん|様|さま)|某某|某(?=先生|女士|小姐)"
    r"|\.{3,}(?=さん|様)|(?i:lorem ipsum|dolor sit amet)"
)
# A bracket around letters asks for a value where brackets are no decoration.
_BRACKETED = re.compile(r"\[\s*[^\W\d_][^\[\]\n]{0,60}\]")
_LATIN_BRACKETED = re.compile(r"[\[【]\s*[A-Za-z][A-Za-z ,.'’_-]{0,60}[\]】]")
_OPEN, _CLOSED = r"\[({<«【〔《〈「『", r"\])}>»】〕》〉」』"
_ANY_BRACKETS = re.compile(rf"[{_OPEN}]\s*([^{_OPEN}{_CLOSED}]{{1,40}}?)\s*[{_CLOSED}]")


def placeholder(sentence: str, language: str, words: Words) -> str | None:
    """An unrendered merge field, or a bracket around the name of a value to come."""
    found = _MERGE_FIELD.search(sentence)
    if found is None and ("[" in sentence or "【" in sentence):
        brackets = _LATIN_BRACKETED if language in _UNSPACED else _BRACKETED
        found = brackets.search(sentence)
    if found is None:
        for bracket in _ANY_BRACKETS.finditer(normalised(sentence)):
            if words.fields.fullmatch(bracket.group(1)):
                found = bracket
                break
    return f"placeholder: {found.group()[:_SHOWN]}" if found else None


def internal_word(sentence: str, words: Words) -> str | None:
    """A word of the shop's own kitchen or of the model about itself."""
    found = words.internal.search(normalised(sentence))
    return f"internal word: {found.group()[:_SHOWN].strip()}" if found else None


def invented_offer(sentence: str, words: Words) -> str | None:
    """A discount, price, gift, deadline, stock level or link; the shop made no such promise.

    An amount in a sentence about the customer's average is none; its number is checked with the
    other numbers.
    """
    text = normalised(sentence)
    for found in words.offers.finditer(text):
        amount = any(char.isdigit() for char in found.group()) and "%" not in found.group()
        if not (amount and words.average.search(text)):
            return f"invented offer: {found.group()[:_SHOWN].strip()}"
    return None


def boilerplate(sentence: str, words: Words) -> str | None:
    """A stock phrase of another language."""
    text = normalised(sentence)
    found = next(filter(None, (stock.search(text) for stock in words.stock)), None)
    return f"boilerplate: {found.group()[:_SHOWN].strip()}" if found else None


def label_pattern(labels: Iterable[str], language: str) -> re.Pattern[str] | None:
    """What `label_leak` looks for; None when there is nothing.

    Case, separators and a plural ending do not matter. A label that the language's phrases say
    anyway, such as "New", tells nobody anything and is left out.
    """
    said = _joined(" ".join(_texts(tomllib.loads(phrasebook.source(language)))))
    patterns = set()
    for label in labels:
        joined = _joined(label).strip()
        if any(char.isalpha() for char in joined):
            pattern = re.escape(joined)
            if language not in _UNSPACED or joined.isascii():
                # Latin words touch others in the unspaced languages.
                edge = "[a-z\u00df-\u024f]" if joined.isascii() else r"[^\W\d_]"
                ending = f"{edge}{{0,2}}" if len(joined) > 4 else ""
                pattern = f"(?<!{edge}){pattern.removesuffix('s')}{ending}(?!{edge})"
            if not re.search(pattern, said):
                patterns.add(pattern)
    return re.compile("|".join(sorted(patterns))) if patterns else None


def label_leak(sentence: str, labels: re.Pattern[str] | None) -> str | None:
    """The label of a segment, the customer's own or another."""
    return "label leak: segment label" if labels and labels.search(_joined(sentence)) else None


def _texts(node: object) -> Iterator[str]:
    """All texts in a parsed phrase file."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for item in node.values() if isinstance(node, dict) else node:
            yield from _texts(item)


def _joined(text: str) -> str:
    return _SEPARATORS.sub(" ", normalised(text))
