"""The nine languages, and which country speaks which.

Countries and their spellings come from Unicode's CLDR (through Babel), so that "Deutschland",
"Germany" and "DE" are one country. A country whose official languages are not among the nine is
written to in English and reported.
"""

from functools import lru_cache

import pyarrow as pa
from babel import Locale, UnknownLocaleError
from babel.languages import get_official_languages

LANGUAGES = {
    "ar": "Arabic",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "ja": "Japanese",
    "ko": "Korean",
    "pt": "Portuguese",
    "zh": "Chinese",
}

# The shop's choice where a country has several languages or CLDR's first one is not the one
# that its shops write in.
_CHOSEN = {
    "CH": "fr",
    "MA": "fr",
    "TN": "fr",
    "DZ": "fr",
    "MG": "fr",
    "SG": "zh",
    "IQ": "ar",
    "CA": "en",
    "IN": "en",
    "PH": "en",
    "IE": "en",
    "ZA": "en",
    "KE": "en",
}

# Names that shops use and CLDR does not list.
_ALSO_SPELLED = {
    "USA": "US",
    "U.S.A.": "US",
    "U.S.": "US",
    "United States of America": "US",
    "UK": "GB",
    "U.K.": "GB",
    "Great Britain": "GB",
    "England": "GB",
    "Scotland": "GB",
    "Wales": "GB",
    "UAE": "AE",
    "Korea": "KR",
    "Republic of Korea": "KR",
    "Korea, Republic of": "KR",
    "Ivory Coast": "CI",
    "Republic of Ireland": "IE",
    "Holland": "NL",
    "The Netherlands": "NL",
    "Czech Republic": "CZ",
    "Turkey": "TR",
    "Hong Kong": "HK",
    "Macau": "MO",
    "People's Republic of China": "CN",
    "Mainland China": "CN",
}

COUNTRIES_SCHEMA = pa.schema(
    [("spelling", pa.string()), ("country", pa.string()), ("territory", pa.string()),
     ("language", pa.string()), ("language_is_official", pa.bool_())]
)


def language_of(territory: str) -> tuple[str, bool]:
    """The language that customers in a territory (ISO 3166 alpha-2) are written to in, and
    whether it is one of theirs: (language code, False) means English for want of another."""
    if territory in _CHOSEN:
        return _CHOSEN[territory], True
    for official in get_official_languages(territory, de_facto=True):
        code = official.split("_")[0]
        if code in LANGUAGES:
            return code, True
    return "en", False


@lru_cache
def countries() -> pa.Table:
    """Every spelling of every country.

    Columns: spelling (lower case, trimmed; unique), country (its name in English), territory
    (ISO 3166 alpha-2), language (one of the nine), language_is_official (false: English for want
    of another).
    """
    english = Locale("en").territories
    codes = sorted(code for code in english if len(code) == 2 and code.isalpha())
    codes = [code for code in codes if code not in {"EU", "EZ", "UN", "XA", "XB", "ZZ", "QO"}]
    spelled: dict[str, str] = {}
    for spelling, code in _ALSO_SPELLED.items():
        spelled.setdefault(spelling.lower(), code)
    for locale in ["en", *LANGUAGES]:
        names = Locale(locale).territories
        for code in codes:
            if code in names:
                spelled.setdefault(names[code].strip().lower(), code)
    for code in codes:
        for official in get_official_languages(code, de_facto=True):
            try:
                name = Locale.parse(official).territories.get(code)
            except UnknownLocaleError:
                continue
            if name:
                spelled.setdefault(name.strip().lower(), code)
        spelled.setdefault(code.lower(), code)
    rows = [
        (spelling, english[code], code, *language_of(code))
        for spelling, code in sorted(spelled.items())
    ]
    columns = list(zip(*rows, strict=True))
    return pa.table(
        dict(zip(COUNTRIES_SCHEMA.names, map(list, columns), strict=True)),
        schema=COUNTRIES_SCHEMA,
    )
