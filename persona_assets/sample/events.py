"""The events table: visits that lead to an order, visits that do not, and anonymous visits.

A visit is home, then pages of departments and products, then perhaps the cart and the purchase.
Its times are counted back from its last event, since that is the time which something else, the
order, gives.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from .countries import LANGUAGES
from .customers import Customers
from .draws import hex_ids, spread, words
from .orders import CANCELLED, Orders
from .products import TIERS, Range, taste
from .schema import table
from .season import Calendar

TYPES = ("home", "department", "product", "cart", "purchase", "cancel")
HOME, DEPARTMENT, PRODUCT, CART, PURCHASE, CANCEL = range(6)

_TRACKED = 0.95  # share of orders whose visit was recorded
_CANCELLED_ONLINE = 0.6  # share of cancelled orders that the customer cancelled on the site
_ANONYMOUS = 0.98  # anonymous visits for each customer
# Where visits without an order end: at home, department, product, cart.
_ENDS = (0.16, 0.18, 0.44, 0.22)


class _Visits(NamedTuple):
    """Customer number (-1: anonymous), taste group, time of the last event, its type, and the
    product that the visit is about (-1: none in particular)."""

    customer: np.ndarray
    taste: np.ndarray
    time: np.ndarray
    end: np.ndarray
    product: np.ndarray


def _with_order(rng: np.random.Generator, customers: Customers, orders: Orders) -> _Visits:
    kept = np.flatnonzero(rng.random(len(orders.time)) < _TRACKED)
    customer = orders.customer[kept]
    return _Visits(customer, customers.taste[customer], orders.time[kept],
                   np.full(len(kept), PURCHASE), orders.product[kept])


def _cancelling(rng: np.random.Generator, customers: Customers, orders: Orders,
                calendar: Calendar) -> _Visits:
    time = orders.time + rng.integers(1_800, 20 * 3_600, len(orders.time))
    kept = np.flatnonzero((orders.status == CANCELLED) & (time < calendar.span)
                          & (rng.random(len(time)) < _CANCELLED_ONLINE))
    customer = orders.customer[kept]
    return _Visits(customer, customers.taste[customer], time[kept],
                   np.full(len(kept), CANCEL), np.full(len(kept), -1))


def _without_order(rng: np.random.Generator, customers: Customers, calendar: Calendar) -> _Visits:
    # Keenness differs much between customers, so many do not visit at all without ordering.
    visits = rng.poisson(customers.visits * rng.gamma(0.8, 1 / 0.8, len(customers.visits)))
    customer = np.repeat(np.arange(len(visits)), visits)
    time = calendar.between(customers.opens[customer], customers.closes[customer],
                            rng.random(len(customer)))
    return _Visits(customer, customers.taste[customer], time,
                   spread(rng, len(time), _ENDS), np.full(len(time), -1))


def _anonymous(rng: np.random.Generator, count: int, calendar: Calendar) -> _Visits:
    # An hour's margin keeps the first events of the first visit inside the history.
    time = calendar.between(np.full(count, 3_600), np.full(count, calendar.span - 1),
                            rng.random(count))
    groups = taste(rng.integers(0, len(LANGUAGES), count), rng.integers(0, 2, count),
                   rng.integers(0, TIERS, count))
    return _Visits(np.full(count, -1), groups, time, spread(rng, count, _ENDS),
                   np.full(count, -1))


def make(rng: np.random.Generator, customers: Customers, orders: Orders, products: Range,
         calendar: Calendar) -> pa.Table:
    """All visits, event by event; visits stand in order of the time of their last event."""
    parts = (
        _with_order(rng, customers, orders),
        _cancelling(rng, customers, orders, calendar),
        _without_order(rng, customers, calendar),
        _anonymous(rng, max(1, int(_ANONYMOUS * len(customers.orders))), calendar),
    )
    joined = _Visits(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    visits = _Visits(*(column[np.argsort(joined.time, kind="stable")] for column in joined))
    end = visits.end
    count = len(end)

    # Pages between home and the closing events: a department alone, or several of both sorts.
    pages = 2 + rng.poisson(np.where(end == PURCHASE, 3.4, 2.1))
    pages = np.where((end == HOME) | (end == CANCEL), 0, np.where(end == DEPARTMENT, 1, pages))
    closing = np.array([0, 0, 0, 1, 2, 1])[end]
    length = 1 + pages + closing
    stop = np.cumsum(length)
    visit = np.repeat(np.arange(count), length)
    place = np.arange(len(visit)) - (stop - length)[visit]  # 0 for the first event of a visit

    kind = np.where(rng.random(len(visit)) < 0.3, DEPARTMENT, PRODUCT).astype(np.int8)
    kind[place == 1] = DEPARTMENT
    last_page = stop - 1 - closing
    shown = np.isin(end, (PRODUCT, CART, PURCHASE))
    kind[last_page[shown]] = PRODUCT
    for closed in (CART, PURCHASE, CANCEL):
        kind[stop[end == closed] - 1] = closed
    kind[stop[end == PURCHASE] - 2] = CART
    kind[stop - length] = HOME

    product = products.draw(rng, visits.taste[visit])
    about = visits.product >= 0
    product[last_page[about]] = visits.product[about]
    # Whoever goes from a department to a product finds the product in that department.
    leads = np.flatnonzero((kind[:-1] == DEPARTMENT) & (kind[1:] == PRODUCT))
    product[leads] = product[leads + 1]
    plain = [f"/{name}" for name in TYPES]
    uris = plain + products.department_uris
    first_product = len(uris)
    uris += [f"/product/{number + 1}" for number in range(len(products.price))]
    uri = np.where(
        kind == PRODUCT, first_product + product,
        np.where(kind == DEPARTMENT, len(plain) + products.department_uri[product], kind),
    )

    # Seconds spent before each event; the sums run back from the end of the visit.
    spent = np.cumsum(5 + rng.exponential(70, len(visit)).astype(np.int64))
    time = visits.time[visit] - (spent[stop - 1][visit] - spent)
    customer = visits.customer[visit]
    sessions = hex_ids(np.arange(count), int(rng.integers(2**62)))
    return table("events", {
        "id": np.arange(1, len(visit) + 1),
        "user_id": pa.array(customer + 1, mask=customer < 0),
        "session_id": sessions.take(pa.array(visit)),
        "sequence_number": place + 1,
        "created_at": calendar.timestamps(time),
        "event_type": words(TYPES, kind),
        "uri": words(uris, uri),
    })
