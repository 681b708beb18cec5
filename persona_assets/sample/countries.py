"""Countries of the shop's customers: share in per cent, language, and name group.

Spellings follow the public data set, with the little disorder that real shops have: "Brasil" and
a few customers under "Deutschland" or "España". Rows of a language stand together, so that a
draw spread evenly over the shares leaves no language out. Every language has at least 5%.
"""

LANGUAGES: tuple[str, ...] = ("ar", "de", "en", "es", "fr", "ja", "ko", "pt", "zh")
"""The languages that the shop writes in; a country outside them counts as "en" for taste."""

COUNTRIES: tuple[tuple[str, float, str, str], ...] = (
    ("United States", 18.0, "en", "en"),
    ("United Kingdom", 6.0, "en", "en"),
    ("Canada", 4.0, "en", "en"),
    ("Australia", 3.5, "en", "en"),
    ("Ireland", 1.5, "en", "en"),
    ("China", 10.0, "zh", "zh"),
    ("Taiwan", 2.0, "zh", "tw"),
    ("Brasil", 8.0, "pt", "pt"),
    ("Portugal", 2.0, "pt", "pt"),
    ("Spain", 4.0, "es", "es"),
    ("España", 0.3, "es", "es"),
    ("Mexico", 3.0, "es", "es"),
    ("Argentina", 1.5, "es", "es"),
    ("Colombia", 1.2, "es", "es"),
    ("France", 5.5, "fr", "fr"),
    ("Belgium", 1.5, "fr", "fr"),
    ("Senegal", 1.0, "fr", "sn"),
    ("Germany", 6.0, "de", "de"),
    ("Deutschland", 0.4, "de", "de"),
    ("Austria", 1.6, "de", "de"),
    ("Japan", 6.5, "ja", "ja"),
    ("South Korea", 5.5, "ko", "ko"),
    ("Egypt", 2.2, "ar", "eg"),
    ("Saudi Arabia", 1.8, "ar", "ar"),
    ("United Arab Emirates", 1.2, "ar", "ar"),
    ("Qatar", 0.8, "ar", "ar"),
    ("Poland", 0.6, "en", "pl"),
    ("Italy", 0.4, "en", "it"),
)
"""(country, share in per cent, language of taste, name group)."""
