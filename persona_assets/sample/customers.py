"""The users table, and how each customer behaves."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .countries import COUNTRIES, LANGUAGES
from .draws import GroupedDraw, spread, words
from .names import FIRST, GROUPS, LAST
from .products import TIERS, taste
from .schema import table
from .season import DAY, Calendar


class Kind(NamedTuple):
    """A way to be a customer. Days count back from the end of the history unless said otherwise.

    share        of all customers
    joined       earliest and latest day of signing up
    quiet        days since the last possible order: at least, and mean of what is added
    reach        mean of days after signing up within which orders fall (0: no such limit)
    orders       at least; median of what is added; sigma of its lognormal spread
    basket       mu of the lognormal number of items beyond the first
    tiers        shares of the price tastes thrifty, middling, expensive
    visits       mean number of visits without an order
    """

    share: float
    joined: tuple[int, int]
    quiet: tuple[float, float]
    reach: float
    orders: tuple[int, float, float]
    basket: float
    tiers: tuple[float, float, float]
    visits: float


_USUAL = (0.30, 0.52, 0.18)
KINDS: tuple[Kind, ...] = (
    Kind(0.200, (1095, 1), (0, 1), 60, (0, 0, 0), -0.55, _USUAL, 1.0),  # never buys
    Kind(0.355, (1095, 20), (0, 1), 25, (1, 0, 0), -0.55, _USUAL, 0.9),  # buys once
    Kind(0.130, (1095, 60), (0, 50), 0, (2, 0.9, 0.2), -0.55, _USUAL, 2.4),  # regular
    Kind(0.065, (1095, 60), (0, 20), 0, (3, 3.4, 0.9), -0.50, (0.2, 0.5, 0.3), 5.0),  # loyal
    Kind(0.045, (1095, 30), (0, 120), 0, (1, 0.6, 0.3), 0.30, (0, 0.1, 0.9), 2.5),  # big spender
    Kind(0.090, (1095, 420), (240, 100), 0, (2, 0.5, 0.3), -0.55, _USUAL, 1.6),  # lapsed
    Kind(0.055, (1095, 720), (540, 120), 0, (1, 0.3, 0.3), -0.55, _USUAL, 1.0),  # dormant
    Kind(0.060, (75, 2), (0, 1), 0, (1, 0.3, 0.2), -0.55, _USUAL, 1.2),  # newly arrived
)
_MOST_ORDERS = 80
_SOURCES = {"Search": 0.56, "Organic": 0.20, "Facebook": 0.10, "Email": 0.08, "Display": 0.06}
_DOMAINS = {"example.com": 0.6, "example.org": 0.2, "example.net": 0.2}


class Customers(NamedTuple):
    """The users table and, for each customer: gender (0 F, 1 M), taste group, time of signing up,
    first and last time at which an order may fall, orders to place, mu of the number of items
    beyond the first, and mean number of visits without an order."""

    table: pa.Table
    gender: np.ndarray
    taste: np.ndarray
    joined: np.ndarray
    opens: np.ndarray
    closes: np.ndarray
    orders: np.ndarray
    basket: np.ndarray
    visits: np.ndarray


def _by_popularity(lists: list[list]) -> GroupedDraw:
    return GroupedDraw([np.arange(2, len(names) + 2) ** -0.6 for names in lists])


_FIRST_NAMES = [name for names in FIRST for name in names]
_LAST_NAMES = [name for names in LAST for name in names]
_draw_first = _by_popularity(FIRST)
_draw_last = _by_popularity(LAST)


def _number_within(keys: np.ndarray) -> np.ndarray:
    """For each entry, how many equal entries stand before it."""
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    lengths = np.diff(np.append(starts, len(keys)))
    result = np.empty(len(keys), dtype=np.int64)
    result[order] = np.arange(len(keys)) - np.repeat(starts, lengths)
    return result


def _emails(rng: np.random.Generator, first: np.ndarray, last: np.ndarray) -> pa.Array:
    """first.last@domain, with a number from the second bearer of a name on."""
    # The number counts Latin forms: different names in another script may be written alike.
    first_forms, first_code = np.unique([form for _, form in _FIRST_NAMES], return_inverse=True)
    last_forms, last_code = np.unique([form for _, form in _LAST_NAMES], return_inverse=True)
    before = _number_within(first_code[first] * len(last_forms) + last_code[last])
    number = pc.if_else(pa.array(before > 0), pa.array(before + 1).cast(pa.string()), "")
    domain = words([f"@{d}" for d in _DOMAINS], spread(rng, len(first), [*_DOMAINS.values()]))
    return pc.binary_join_element_wise(
        words([f"{form}." for form in first_forms], first_code[first]),
        words([str(form) for form in last_forms], last_code[last]),
        number, domain, "",
    )


def make(rng: np.random.Generator, count: int, calendar: Calendar) -> Customers:
    """`count` customers with ids from 1; some sign up twice, some left a field empty."""
    country = spread(rng, count, [share for _, share, _, _ in COUNTRIES])
    gender = rng.integers(0, 2, count)
    group = np.array([GROUPS.index(names) for _, _, _, names in COUNTRIES])[country]
    first = _draw_first(rng, group * 2 + gender)
    last = _draw_last(rng, group)
    age = np.minimum(18 + rng.gamma(2.5, 8.5, count), 84).astype(np.int64)
    email = _emails(rng, first, last)

    # Second accounts: the same person with the same address under another id.
    odd = rng.permutation(count)[: 2 * int(count * 0.005) + 2 * int(count * 0.003)]
    twins, originals, no_email, no_first = np.split(
        odd, np.cumsum([int(count * 0.005)] * 2 + [int(count * 0.003)]))
    person = np.arange(count)
    person[twins] = originals
    country, gender, first, last, age = (a[person] for a in (country, gender, first, last, age))
    email = email.take(pa.array(person))
    lacks_email = np.zeros(count, dtype=bool)
    lacks_email[no_email] = True
    email = pc.if_else(pa.array(lacks_email), pa.scalar(None, pa.string()), email)
    first_names = [name for name, _ in _FIRST_NAMES] + [None, ""]
    first[no_first] = len(_FIRST_NAMES) + np.arange(len(no_first)) % 2

    kind = spread(rng, count, [k.share for k in KINDS])
    of = {field: np.array([getattr(k, field) for k in KINDS])[kind] for field in Kind._fields}
    end = calendar.span - 1
    joined = calendar.between(end - of["joined"][:, 0] * DAY, end - of["joined"][:, 1] * DAY,
                              rng.random(count))
    opens = np.minimum(joined + 600 + rng.exponential(0.5 * DAY, count).astype(np.int64), end)
    quiet = of["quiet"][:, 0] + rng.exponential(of["quiet"][:, 1])
    closes = end - quiet * DAY
    reach = rng.exponential(np.maximum(of["reach"], 1)) * DAY
    closes = np.where(of["reach"] > 0, np.minimum(closes, opens + reach), closes)
    # Those who joined after their time to fall silent would order everything at once.
    closes = np.maximum(closes, opens + rng.uniform(0.1, 30, count) * DAY)
    closes = np.minimum(closes.astype(np.int64), end)
    least, added, sigma = of["orders"].T
    orders = least + rng.poisson(added * np.exp(sigma * rng.normal(size=count)))
    tier_bounds = np.cumsum(of["tiers"], axis=1)[:, : TIERS - 1]
    tier = (rng.random((count, 1)) >= tier_bounds).sum(axis=1)
    language = np.array([LANGUAGES.index(code) for _, _, code, _ in COUNTRIES])[country]

    users = table("users", {
        "id": np.arange(1, count + 1),
        "first_name": words(first_names, first),
        "last_name": words([name for name, _ in _LAST_NAMES], last),
        "email": email,
        "age": age,
        "gender": words(("F", "M"), gender),
        "country": words([name for name, _, _, _ in COUNTRIES], country),
        "traffic_source": words([*_SOURCES], spread(rng, count, [*_SOURCES.values()])),
        "created_at": calendar.timestamps(joined),
    })
    return Customers(
        table=users,
        gender=gender,
        taste=taste(language, gender, tier),
        joined=joined,
        opens=opens,
        closes=closes,
        orders=np.minimum(orders, _MOST_ORDERS).astype(np.int64),
        basket=of["basket"],
        visits=of["visits"],
    )
