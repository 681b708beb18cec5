"""The orders and order_items tables."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from .customers import Customers
from .draws import some, words
from .products import Range
from .schema import table
from .season import DAY, Calendar

STATUSES = ("Complete", "Shipped", "Processing", "Cancelled", "Returned")
COMPLETE, SHIPPED, PROCESSING, CANCELLED, RETURNED = range(5)
_SHARES = (0.305, 0.295, 0.175, 0.133, 0.092)

_MOST_LINES = 25
_EMPTY_ORDERS = 0.001  # orders that lost their lines
_UNKNOWN_PRODUCTS = 0.002  # lines whose product was taken out of the shop
_SALE = 0.18  # share of lines sold below the retail price
_BUSY_SHOP = 1_000  # customers from which on the last day must have an order


class Orders(NamedTuple):
    """Both tables and, for each order: number of its customer (from 0), time, status number, and
    the product number (from 0) of its first line, -1 if there is none."""

    orders: pa.Table
    items: pa.Table
    customer: np.ndarray
    time: np.ndarray
    status: np.ndarray
    product: np.ndarray


def make(rng: np.random.Generator, customers: Customers, products: Range,
         calendar: Calendar) -> Orders:
    """All orders up to the end of the calendar, with ids in order of time."""
    customer = np.repeat(np.arange(len(customers.orders)), customers.orders)
    time = calendar.between(customers.opens[customer], customers.closes[customer],
                            rng.random(len(customer)))
    in_time = np.argsort(time, kind="stable")
    customer, time = customer[in_time], time[in_time]
    count = len(time)
    last_day = calendar.span - DAY
    if len(customers.orders) >= _BUSY_SHOP and time[-1] < last_day:
        time[-1] = last_day + DAY // 2

    # A parcel is out after a day or two and there two to six days later; what would lie after
    # the end of the history has not happened yet.
    shipped = time + rng.integers(6 * 3_600, 3 * DAY, count)
    delivered = shipped + rng.integers(DAY, 5 * DAY, count)
    returned = delivered + rng.integers(DAY, 21 * DAY, count)
    status = np.searchsorted(np.cumsum(_SHARES)[:-1], rng.random(count), side="right")
    status[(status == RETURNED) & (returned >= calendar.span)] = COMPLETE
    status[(status == COMPLETE) & (delivered >= calendar.span)] = SHIPPED
    status[(status == SHIPPED) & (shipped >= calendar.span)] = PROCESSING
    not_returned = status != RETURNED
    not_delivered = not_returned & (status != COMPLETE)
    not_shipped = not_delivered & (status != SHIPPED)
    times = {
        "created_at": calendar.timestamps(time),
        "shipped_at": calendar.timestamps(shipped, not_shipped),
        "delivered_at": calendar.timestamps(delivered, not_delivered),
        "returned_at": calendar.timestamps(returned, not_returned),
    }

    beyond_first = np.exp(rng.normal(customers.basket[customer], 0.9))
    lines = np.minimum(1 + beyond_first.astype(np.int64), _MOST_LINES)
    lines[some(rng, count, _EMPTY_ORDERS)] = 0
    order = np.repeat(np.arange(count), lines)
    product = products.draw(rng, customers.taste[customer[order]])
    unknown = np.zeros(len(order), dtype=bool)
    unknown[some(rng, len(order), _UNKNOWN_PRODUCTS)] = True
    off = np.where(rng.random(len(order)) < _SALE,
                   rng.choice([0.9, 0.85, 0.8, 0.7], len(order)), 1.0)
    status_text = words(STATUSES, status)
    of_line = pa.array(order)

    items = table("order_items", {
        "id": np.arange(1, len(order) + 1),
        "order_id": order + 1,
        "user_id": customer[order] + 1,
        "product_id": pa.array(product + 1, mask=unknown),
        "inventory_item_id": rng.permutation(len(order)) + 1,
        "status": status_text.take(of_line),
        "sale_price": np.round(products.price[product] * off, 2),
        **{name: values.take(of_line) for name, values in times.items()},
    })
    orders = table("orders", {
        "order_id": np.arange(1, count + 1),
        "user_id": customer + 1,
        "status": status_text,
        "gender": words(("F", "M"), customers.gender[customer]),
        "num_of_item": lines,
        **times,
    })
    first_line = np.cumsum(lines) - lines
    known = np.append(np.where(unknown, -1, product), -1)  # the -1 at the end is for no line
    return Orders(orders, items, customer, time, status,
                  known[np.where(lines > 0, first_line, len(order))])
