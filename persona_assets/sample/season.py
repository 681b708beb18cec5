"""The shop's calendar: seconds since the history began, and how busy each hour is."""

import datetime

import numpy as np
import pyarrow as pa

DAY = 86_400
HISTORY_DAYS = 1_096  # 36 months

_MONTH = (0.90, 0.85, 0.95, 0.95, 1.0, 0.95, 0.90, 0.85, 1.0, 1.05, 1.45, 1.50)
_WEEKDAY = (1.0, 0.95, 0.95, 1.0, 1.05, 1.10, 1.20)  # Monday first
_HOUR = (3, 2, 1, 1, 1, 1, 2, 3, 4, 5, 5, 5, 6, 6, 5, 5, 5, 6, 7, 8, 9, 9, 7, 5)
_GROWTH = 0.6  # how much busier the end of the history is than its beginning


class Calendar:
    """The 36 months up to and with the day `until`, in UTC.

    A time is a whole number of seconds since the history began; `span` is the number of seconds
    in it, so the last second of `until` is `span - 1`.
    """

    def __init__(self, until: datetime.date):
        first = np.datetime64(until, "D") + 1 - HISTORY_DAYS
        self.span = HISTORY_DAYS * DAY
        self._origin = first.astype("datetime64[us]").astype(np.int64)
        days = first + np.arange(HISTORY_DAYS)
        month = days.astype("datetime64[M]").astype(np.int64) % 12
        weekday = (days.astype(np.int64) + 3) % 7  # 1 January 1970 was a Thursday
        growth = 1 + _GROWTH * np.arange(HISTORY_DAYS) / HISTORY_DAYS
        daily = np.array(_MONTH)[month] * np.array(_WEEKDAY)[weekday] * growth
        self._hours = np.arange(0, self.span + 1, 3_600)
        self._busy = np.concatenate([[0.0], np.cumsum(np.outer(daily, _HOUR))])

    def between(self, first: np.ndarray, last: np.ndarray, share: np.ndarray) -> np.ndarray:
        """The second by which `share` (0 to 1) of the trade from `first` to `last` is done."""
        low = np.interp(first, self._hours, self._busy)
        high = np.interp(last, self._hours, self._busy)
        time = np.interp(low + share * (high - low), self._busy, self._hours)
        return np.clip(time.astype(np.int64), first, last)

    def timestamps(self, seconds: np.ndarray, missing: np.ndarray | None = None) -> pa.Array:
        """The timestamp column of those times; NULL where `missing` is true."""
        values = self._origin + seconds.astype(np.int64) * 1_000_000
        return pa.array(values, mask=missing).cast(pa.timestamp("us", tz="UTC"))
