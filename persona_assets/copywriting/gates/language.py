"""The language gate: script by script, then by py3langid, sentence by sentence and as a whole."""

import re
from functools import cache, lru_cache
from threading import Lock

from .text import BLANK

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
_HANGUL_LETTER = re.compile(f"[{_HANGUL}]")
_ARABIC_LETTER = re.compile(f"[{_ARABIC}]")
_NOT_ARABIC = re.compile("[\u06a9\u06cc\u06d2\u0679\u0688\u0691\u06ba\u06be\u06c1]")  # Persian, Urdu
_NOT_JAPANESE = re.compile("[您你们们這这吗呢吧很没哪谁]")

# Others than the nine: what a model slips into, or what looks like one of the nine.
_CANDIDATES = (
    "ar", "de", "en", "es", "fr", "ja", "ko", "pt", "zh",
    "ca", "cs", "da", "fi", "hu", "id", "it", "nl", "no", "pl", "ro", "sv", "tr", "vi",
)  # fmt: skip
_LEAST_LETTERS = 18
_SURE = 0.9
_FEW_LATIN_WORDS = 2
_HAN_WITHOUT_KANA = 10

UNSURE = ""


def sentence_language(sentence: str, language: str) -> str | None:
    """A sentence in another script or language; product names must be blanked out of it.

    None: it is the language. UNSURE: too short or too mixed to say, see `whole_language`.
    """
    foreign = _FOREIGN.get(language, _FOREIGN["latin"]).search(sentence)
    if foreign:
        return f"language: {foreign.group()!r} is no letter of {language}"
    if language == "ar":
        return _arabic(sentence)
    if language in {"ja", "ko", "zh"}:
        return _east_asian(sentence, language)
    if len(_LETTER.findall(sentence)) < _LEAST_LETTERS:
        return UNSURE
    found, sureness = _identify(sentence)
    if found == language:
        return None
    return f"language: a sentence in {found}, not {language}" if sureness >= _SURE else UNSURE


def whole_language(unsure: str, language: str) -> str | None:
    """The sentences that are too short by themselves, taken together, in another language."""
    if language in _SCRIPTS or len(_LETTER.findall(unsure)) < _LEAST_LETTERS:
        return None
    found, sureness = _identify(unsure)
    if found == language or sureness < _SURE:
        return None
    return f"language: the short sentences are in {found}, not {language}"


def _arabic(sentence: str) -> str | None:
    if run := _latin_run(sentence):
        return run
    if len(_NOT_ARABIC.findall(sentence)) >= 2:
        return "language: letters of Persian or Urdu, not ar"
    return None


def _east_asian(sentence: str, language: str) -> str | None:
    if run := _latin_run(sentence):
        return run.replace("not ar", f"not {language}")
    han = _HAN_LETTER.findall(sentence)
    if language == "ja":
        if _NOT_JAPANESE.search(sentence) or not all(map(_is_japanese, han)):
            return "language: characters of Chinese, not ja"
        if len(han) >= _HAN_WITHOUT_KANA and not _KANA_LETTER.search(sentence):
            return "language: a sentence without kana, not ja"
    if language == "ko" and _HAN_PAIR.search(sentence):
        return "language: words in Chinese characters, not ko"
    return None


def _latin_run(sentence: str, ) -> str | None:
    for run in _LATIN_WORDS.findall(sentence):
        if len(run.split()) > _FEW_LATIN_WORDS:
            return "language: several words in Latin script"
    return None


@cache
def _is_japanese(char: str) -> bool:
    try:
        char.encode("euc_jis_2004")
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=20_000)
def _identify(text: str) -> tuple[str, float]:
    text = " ".join(text.replace(BLANK, " ").split()).lower()
    with _LOCK:
        (best, sureness), *_ = _identifier().rank(text)
    return best, sureness


_LOCK = Lock()


@cache
def _identifier():
    # The import alone takes a while, and the languages are only restricted on a model of one's own.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(_CANDIDATES))
    return identifier
