"""The near-duplicate gate: SimHash over the texts seen so far.

Charikar, "Similarity estimation techniques from rounding algorithms", 2002; Manku, Jain and Das
Sarma, "Detecting near-duplicates for web crawling", 2007.
"""

from collections.abc import Iterable
from threading import Lock

import numpy as np

REMEMBERED = 50_000
# Unrelated texts of one language differ in about a third of the bits.
DISTANCE = 3

_SHINGLE = 4
_BITS = np.arange(64, dtype=np.uint64)
_ONE = np.uint64(1)


def fingerprint(text: str) -> np.uint64:
    """64 bits that are alike for texts that share most of their runs of four characters."""
    codes = np.frombuffer(
        " ".join(text.casefold().split()).encode("utf-32-le", "surrogatepass"), dtype=np.uint32
    ).astype(np.uint64)
    if len(codes) < _SHINGLE:
        codes = np.pad(codes, (0, _SHINGLE - len(codes)))
    windows = np.lib.stride_tricks.sliding_window_view(codes, _SHINGLE)
    hashes = np.zeros(len(windows), dtype=np.uint64)
    for column in windows.T:
        hashes = _mixed(hashes ^ column)
    votes = ((hashes[:, None] >> _BITS) & _ONE).sum(axis=0, dtype=np.int64)
    return ((votes * 2 > len(hashes)).astype(np.uint64) << _BITS).sum(dtype=np.uint64)


def _mixed(values: np.ndarray) -> np.ndarray:
    """splitmix64 (Steele, Lea and Flood 2014): every bit depends on every bit of the value."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class Seen:
    """The fingerprints of the newest texts, in a ring; safe to use from several threads."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._ring = np.zeros(remembered, dtype=np.uint64)
        self._count = 0
        self._lock = Lock()

    def remember(self, texts: Iterable[str]) -> None:
        """Add texts, alike or not."""
        for text in texts:
            mark = fingerprint(text)
            with self._lock:
                self._add(mark)

    def near_duplicate(self, text: str) -> str | None:
        """A text that was seen before but for a few words; it is remembered otherwise."""
        mark = fingerprint(text)
        with self._lock:
            seen = self._ring[: min(self._count, len(self._ring))]
            if len(seen) and int(np.bitwise_count(seen ^ mark).min()) <= DISTANCE:
                return "near-duplicate: almost the text of another e-mail of this run"
            self._add(mark)
        return None

    def _add(self, mark: np.uint64) -> None:
        self._ring[self._count % len(self._ring)] = mark
        self._count += 1
