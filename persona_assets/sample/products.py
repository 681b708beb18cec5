"""The products table, and which products which customers like."""

import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from .catalogue import LINES, MEN
from .countries import LANGUAGES
from .draws import GroupedDraw, hex_ids, spread
from .schema import table

TIERS = 3  # price tastes: thrifty, middling, expensive
_TIER_PULL = (-0.7, 0.0, 1.1)  # power of the price by which a tier favours dear products
_DEAR = {"(3-Pack)": 2.2, "(2-Pack)": 1.6, "Cashmere": 1.7, "Silk": 1.3, "Three-Piece": 1.2}
_FORMAL = 140  # usual price from which a line has show pieces
_OWN_DEPARTMENT = 0.86  # share of purchases in the department of the customer's gender


class Range(NamedTuple):
    """The products on sale.

    `table` is the products table, `price` its retail prices, `department_uri` the number of each
    product's department page in `department_uris`, and `liked` draws product numbers (from 0)
    for the groups that `taste` gives, one block of all products after another.
    """

    table: pa.Table
    price: np.ndarray
    department_uri: np.ndarray
    department_uris: list[str]
    liked: GroupedDraw

    def draw(self, rng: np.random.Generator, groups: np.ndarray) -> np.ndarray:
        """A product number, counted from 0, for each taste group."""
        return self.liked(rng, groups) % len(self.price)


def taste(language: np.ndarray, gender: np.ndarray, tier: np.ndarray) -> np.ndarray:
    """The taste group of customers by language number, gender (0 F, 1 M) and price tier."""
    return (language * 2 + gender) * TIERS + tier


def size(customers: int) -> int:
    """How many products a shop with so many customers has: 60 to 2,000."""
    return min(2_000, max(60, customers // 5))


def _names(rng: np.random.Generator, lines: np.ndarray) -> tuple[list[str], list[str]]:
    """A brand and a name for each product; the names differ and none says a word twice."""
    brands, names, seen = [], [], set()
    for number in lines:
        line = LINES[number]
        for _ in range(50):
            brand, *words = (
                choices[int(rng.random() * len(choices))]
                for choices in (line.brands, line.styles, line.materials, line.garments,
                                line.colours)
            )
            name = line.name(brand, *words, pattern=int(rng.random() * 4))
            said = re.findall(r"[^\W\d_]{2,}", name.lower())
            if name not in seen and len(said) == len(set(said)):
                break
        seen.add(name)
        brands.append(brand)
        names.append(name)
    return brands, names


def _dearness(names: list[str]) -> np.ndarray:
    """By how much the words of each name raise the price."""
    return np.array([
        np.prod([factor for word, factor in _DEAR.items() if word in name.split()])
        for name in names
    ])


def _liking(rng: np.random.Generator, price: np.ndarray, for_men: np.ndarray) -> GroupedDraw:
    """Popularity by taste group: Zipf-like, shifted by language, department and price."""
    count = len(price)
    # Starting at rank 8 keeps the best seller of a large shop at a few per cent of the sales.
    popular = rng.permutation(np.arange(8, count + 8) ** -0.85)
    groups = []
    for _ in LANGUAGES:
        local = popular * np.exp(rng.normal(0, 0.7, count))
        for gender in (0, 1):
            own = for_men == (gender == 1)
            for pull in _TIER_PULL:
                weight = local * price**pull
                weight = np.where(own, weight / weight[own].sum() * _OWN_DEPARTMENT,
                                  weight / weight[~own].sum() * (1 - _OWN_DEPARTMENT))
                groups.append(weight)
    return GroupedDraw(groups)


def make(rng: np.random.Generator, customers: int) -> Range:
    """The range of a shop with so many customers."""
    count = size(customers)
    lines = spread(rng, count, [line.weight for line in LINES])
    brands, names = _names(rng, lines)
    usual = np.array([line.price for line in LINES])[lines]
    price = usual * _dearness(names) * rng.lognormal(0, 0.30, count)
    # A handful of show pieces: shops have a coat or a gown that costs many times the others.
    price = np.where((rng.random(count) < 0.04) & (usual >= _FORMAL), price * 4, price)
    ending = rng.choice([0.99, 0.95, 0.50, 0.0], count, p=[0.5, 0.2, 0.1, 0.2])
    price = np.maximum(np.floor(price), 4) + ending
    category = [LINES[n].category for n in lines]
    department = [LINES[n].department for n in lines]
    if count > 500:  # two labels that were never filled in
        unnamed = rng.choice(count, 2, replace=False)
        names[unnamed[0]], names[unnamed[1]] = None, ""
    pages = sorted({(line.department, line.category) for line in LINES})
    page_number = {page: n for n, page in enumerate(pages)}
    uris = [
        f"/department/{d.lower()}/{'-'.join(re.findall('[a-z]+', c.lower()))}" for d, c in pages
    ]
    products = table("products", {
        "id": np.arange(1, count + 1),
        "cost": np.round(price * rng.uniform(0.36, 0.62, count), 2),
        "category": category,
        "name": names,
        "brand": brands,
        "retail_price": price,
        "department": department,
        "sku": hex_ids(np.arange(count), int(rng.integers(2**62))),
        "distribution_center_id": rng.integers(1, 11, count),
    })
    for_men = np.array([d == MEN for d in department])
    return Range(
        table=products,
        price=price,
        department_uri=np.array([page_number[p] for p in zip(department, category, strict=True)]),
        department_uris=uris,
        liked=_liking(rng, price, for_men),
    )
