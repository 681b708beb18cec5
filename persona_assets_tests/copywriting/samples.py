"""Briefs and a sender for the tests."""

from dataclasses import replace
from datetime import date

from persona_assets.copywriting.brief import Brief
from persona_assets.copywriting.message import Sender

LANGUAGES = ("ar", "de", "en", "es", "fr", "ja", "ko", "pt", "zh")
HOME = {
    "ar": "EG",
    "de": "DE",
    "en": "US",
    "es": "MX",
    "fr": "FR",
    "ja": "JP",
    "ko": "KR",
    "pt": "BR",
    "zh": "CN",
}
SENDER = Sender(
    shop="Atelier & Co",
    shop_url="https://shop.example/?a=1&b=2",
    postal_address="1 Example Street, 12345 Town",
)
LINK = "https://shop.example/unsubscribe?list=1&token=x"
# The words of these products are letters, so that placeholder checks see only our phrases.
OWN = ("Indigo Jacket", "Merino Sweater", "Canvas Belt")
POPULAR = ("Linen Shirt", "Canvas Tote", "Wool Scarf", "Suede Boots")

HASH_DIGITS = 64


def hash_for(variant: int, rest: int = 0) -> str:
    """A prompt hash that chooses the variant with this index; `rest` drives the other choices."""
    return format(rest * 4 + variant, f"0{HASH_DIGITS}x")


def brief(language: str = "en", lifecycle: str = "active", **changes) -> Brief:
    """A complete brief with some fields changed."""
    sample = Brief(
        prompt_hash=hash_for(0),
        prompt="",
        language=language,
        lifecycle=lifecycle,
        territory=HOME[language],
        total_orders=3,
        avg_basket=80,
        order_interval_months=4,
        last_order_month=date(2024, 4, 1),
        last_event=None,
        top_products_user=OWN,
        top_products_country=POPULAR,
    )
    return replace(sample, **changes)
