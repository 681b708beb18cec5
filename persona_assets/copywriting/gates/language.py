"""The language gate: script by script, then by py3langid, sentence by sentence and as a whole."""

import re
from functools import cache, lru_cache
from threading import Lock

from persona_assets.languages import LANGUAGES

from .text import BLANK, WORD, normalised
from .words import Words

# Letters that a text may hold, by the script of its language.
_LATIN = "A-Za-zªºÀ-ÖØ-öø-ƿǄ-ɏḀ-ỿ"
_HAN = "\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA = "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
_HANGUL = "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"
_ARABIC = "\u0620-\u064a\u0671-\u06d3\u06fa-\u06ff\ufb50-\ufdff\ufe70-\ufefc"
_SCRIPTS = {
    "ar": _ARABIC + _LATIN,
    "ja": _KANA + _HAN + _LATIN,
    "ko": _HANGUL + _HAN + _LATIN,
    "zh": _HAN + _LATIN,
}
_FOREIGN = {
    language: re.compile(rf"[^\W\d_{letters}]")
    for language, letters in {**_SCRIPTS, "latin": _LATIN}.items()
}
_LETTER = re.compile(r"[^\W\d_]")
_LATIN_WORDS = re.compile(rf"[{_LATIN}][{_LATIN}'’-]*(?:[ ,:]+[{_LATIN}][{_LATIN}'’-]*)*")
_HAN_LETTER = re.compile(f"[{_HAN}]")
_HAN_PAIR = re.compile(f"[{_HAN}]{{2,}}")
_KANA_LETTER = re.compile(f"[{_KANA}]")
# Letters of Persian and Urdu.
_NOT_ARABIC = re.compile("[\u06a9\u06cc\u06d2\u0679\u0688\u0691\u06ba\u06be\u06c1]")
_NOT_JAPANESE = re.compile("[您你们们這这吗呢吧很没哪谁]")

# Others than the nine: what a model slips into, or what looks like one of the nine.
_CANDIDATES = (
    "ar", "de", "en", "es", "fr", "ja", "ko", "pt", "zh",
    "ca", "cs", "da", "fi", "hu", "id", "it", "nl", "no", "pl", "ro", "sv", "tr", "vi",
)  # fmt: skip
# Letters from which a probability of the language below this says that it is another one. Over
# 2,490 sentences in the five Latin languages, one was wrongly refused ("in Svalbard and Jan
# Mayen"); of their sentences in another's e-mail, 86% to 99% are caught, the longer the more.
_LEAST_PROBABLE = ((25, 0.2), (18, 0.05), (12, 0.02))
_DOUBTFUL = 0.3
_SURE = 0.5
_FEW_LATIN_WORDS = 2
# Signs and letters of words in lower case (names keep theirs) that the language does not use.
_NOT_LATIN = {
    language: re.compile(rf"[{signs}]|(?<![^\W\d_])[a-zß-ÿ]*[{letters}][a-zß-ÿ]*(?![^\W\d_])")
    for language, signs, letters in (
        ("de", "¿¡", "ñãõ"), ("en", "¿¡", "ãõß"), ("es", "§", "ãõßäö"),
        ("fr", "¿¡", "ñãõßäö"), ("pt", "¿¡", "ñßäö"),
    )
}  # fmt: skip
_HAN_WITHOUT_KANA = 7

UNSURE = ""


def sentence_language(sentence: str, language: str, words: Words) -> str | None:
    """A sentence in another script or language; product names must be blanked out of it.

    None: it is the language. UNSURE: too short or too mixed to say, see `whole_language`.
    """
    foreign = _FOREIGN.get(language, _FOREIGN["latin"]).search(sentence)
    if foreign:
        return f"language: {foreign.group()!r} is no letter of {language}"
    if language == "ar":
        return _arabic(sentence)
    if language in _SCRIPTS:
        return _east_asian(sentence, language)
    return _latin(sentence, language, words)


def whole_language(unsure: str, language: str) -> str | None:
    """The sentences that are too short by themselves, taken together, in another language."""
    if language in _SCRIPTS or not _improbable(unsure, language):
        return None
    return f"language: the short sentences are not in {language}"


def _latin(sentence: str, language: str, words: Words) -> str | None:
    if found := _NOT_LATIN[language].search(sentence):
        return f"language: {found.group()[:20]!r} is not {language}"
    if _improbable(sentence, language):
        return f"language: a sentence in {_identify(sentence)[0]}, not {language}"
    probability = _identify(sentence)[1].get(language, 0.0)
    if probability < _DOUBTFUL:
        said = {word.casefold() for word in WORD.findall(normalised(sentence))}
        if said & words.foreign and not said & words.common:
            return f"language: a sentence with words of another language than {language}"
    return None if probability >= _SURE else UNSURE


def _improbable(text: str, language: str) -> bool:
    letters = len(_LETTER.findall(text))
    for least, probable in _LEAST_PROBABLE:
        if letters >= least:
            return _identify(text)[1].get(language, 0.0) < probable
    return False


def _arabic(sentence: str) -> str | None:
    if run := _latin_run(sentence, "ar"):
        return run
    if len(_NOT_ARABIC.findall(sentence)) >= 2:
        return "language: letters of Persian or Urdu, not ar"
    return None


def _east_asian(sentence: str, language: str) -> str | None:
    if run := _latin_run(sentence, language):
        return run
    han = _HAN_LETTER.findall(sentence)
    if language == "ja":
        if _NOT_JAPANESE.search(sentence) or not all(map(_is_japanese, han)):
            return "language: characters of Chinese, not ja"
        if len(han) >= _HAN_WITHOUT_KANA and not _KANA_LETTER.search(sentence):
            return "language: a sentence without kana, not ja"
    if language == "ko" and _HAN_PAIR.search(sentence):
        return "language: words in Chinese characters, not ko"
    return None


def _latin_run(sentence: str, language: str) -> str | None:
    runs = [run.split() for run in _LATIN_WORDS.findall(sentence)]
    foreign = len(runs) == 1 and len("".join(runs[0])) == len(_LETTER.findall(sentence))
    for run in runs:
        if len(run) > _FEW_LATIN_WORDS or (foreign and len(run) == _FEW_LATIN_WORDS):
            return f"language: several words in Latin script, not {language}"
    return None


@cache
def _is_japanese(char: str) -> bool:
    try:
        char.encode("cp932")
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=1_000)
def _identify(text: str) -> tuple[str, dict[str, float]]:
    """The most probable language, and the probability of each of the nine."""
    text = " ".join(text.replace(BLANK, " ").split()).lower()
    with _LOCK:
        ranked = _identifier().rank(text)
    return ranked[0][0], {code: float(p) for code, p in ranked if code in LANGUAGES}


_LOCK = Lock()


@cache
def _identifier():
    # The import alone takes a while, and the languages are only restricted on a model of one's own.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(_CANDIDATES))
    return identifier
