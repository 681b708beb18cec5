"""Random draws and text columns for whole arrays at once."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa


def spread(rng: np.random.Generator, size: int, weights: Sequence[float]) -> np.ndarray:
    """`size` indices into `weights`, in random order, each as often as its weight says.

    The number of times that an index comes up differs from its exact share by less than one,
    which plain sampling does not promise to a small shop.
    """
    bounds = np.cumsum(weights) / np.sum(weights)
    points = (np.arange(size) + rng.random()) / size
    return rng.permutation(np.searchsorted(bounds[:-1], points, side="right"))


class GroupedDraw:
    """Weighted draws where each draw names the group that it is made from.

    `weights` has one array for each group. An index counts through all groups' entries, one
    group after the other.
    """

    def __init__(self, weights: Sequence[np.ndarray]):
        # Group g owns the stretch from g to g + 1 of one rising line: a single search serves all.
        self._line = np.concatenate([np.cumsum(w) / w.sum() + g for g, w in enumerate(weights)])
        self._stop = np.cumsum([len(w) for w in weights])

    def __call__(self, rng: np.random.Generator, groups: np.ndarray) -> np.ndarray:
        """One index for each entry of `groups`."""
        found = np.searchsorted(self._line, groups + rng.random(len(groups)), side="right")
        return np.minimum(found, self._stop[groups] - 1)  # rounding may reach the next group


def some(rng: np.random.Generator, size: int, share: float) -> np.ndarray:
    """Distinct positions out of `size`: that share of them, rounded down."""
    return rng.choice(size, int(size * share), replace=False)


def words(texts: Sequence[str | None], index: np.ndarray) -> pa.Array:
    """The text column `texts[index]`."""
    return pa.array(texts, type=pa.string()).take(pa.array(index))


_HEX = np.array([list(f"{byte:02x}".encode()) for byte in range(256)], dtype=np.uint8)


def hex_ids(numbers: np.ndarray, salt: int) -> pa.Array:
    """16 hexadecimal digits for each number: well mixed, and different for different numbers."""
    mixed = numbers.astype(np.uint64) + np.uint64(salt)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    digits = np.ascontiguousarray(_HEX[mixed.astype(">u8").view(np.uint8)])
    ends = np.arange(0, 16 * len(numbers) + 1, 16, dtype=np.int32)
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(ends), pa.py_buffer(digits))
