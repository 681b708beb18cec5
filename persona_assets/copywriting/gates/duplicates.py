"""The near-duplicate gate: SimHash over the texts seen so far.

Charikar, "Similarity estimation techniques from rounding algorithms", 2002; Manku, Jain and Das
Sarma, "Detecting near-duplicates for web crawling", 2007, who take 64 bits for web pages. An
e-mail is shorter, so one word moves more bits; 256 tell it apart from another e-mail.
"""

from collections.abc import Iterable
from threading import Lock

import numpy as np

REMEMBERED = 50_000
WORDS = 4  # of 64 bits
# Of the 256 bits. Two different e-mails of one language in the tests differ in 77 at least, an
# e-mail with and without two of its words in 23 in the median and in 37 at most in 99 of 100.
DISTANCE = 44

# Shorter runs make any two texts of one language alike. A Chinese, Japanese or Korean character
# says as much as several letters.
_RUN, _RUN_EAST_ASIAN = 6, 4
_EAST_ASIAN = 0x2E80
_BITS = np.arange(64, dtype=np.uint64)
_SEEDS = np.arange(1, WORDS + 1, dtype=np.uint64) * np.uint64(0xD1342543DE82EF95)


def fingerprint(text: str) -> np.ndarray:
    """256 bits, as four uint64, that are alike for texts that share most of their runs of
    characters."""
    codes = np.frombuffer(
        " ".join(text.casefold().split()).encode("utf-32-le", "surrogatepass"), dtype=np.uint32
    ).astype(np.uint64)
    run = _RUN_EAST_ASIAN if (codes >= _EAST_ASIAN).mean() > 0.3 else _RUN
    if len(codes) < run:
        codes = np.pad(codes, (0, run - len(codes)))
    hashes = np.zeros(len(codes) - run + 1, dtype=np.uint64)
    for column in np.lib.stride_tricks.sliding_window_view(codes, run).T:
        hashes = _mixed(hashes ^ column)
    seeded = _mixed(hashes ^ _SEEDS[:, None]).view(np.uint8).reshape(WORDS, len(hashes), 8)
    bits = np.unpackbits(seeded, axis=2, bitorder="little")
    votes = bits.sum(axis=1, dtype=np.int32)
    majority = (votes * 2 > len(hashes)).astype(np.uint64)
    return (majority << _BITS).sum(axis=1, dtype=np.uint64)


def _mixed(values: np.ndarray) -> np.ndarray:
    """splitmix64 (Steele, Lea and Flood 2014): every bit depends on every bit of the value."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class Seen:
    """The fingerprints of the newest texts, in a ring; safe to use from several threads."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._ring = np.zeros((WORDS, remembered), dtype=np.uint64)
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
            seen = self._ring[:, : min(self._count, self._ring.shape[1])]
            distances = np.bitwise_count(seen ^ mark[:, None]).sum(axis=0, dtype=np.uint16)
            if distances.size and distances.min() <= DISTANCE:
                return "near-duplicate: almost the text of another e-mail of this run"
            self._add(mark)
        return None

    def _add(self, mark: np.ndarray) -> None:
        self._ring[:, self._count % self._ring.shape[1]] = mark
        self._count += 1
