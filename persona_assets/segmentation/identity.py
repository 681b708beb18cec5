"""Which segment of a new fit is which segment of the one before."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

# In standard deviations: farther away from its predecessor than this, a segment is a new one.
NEW_BEYOND = 1.0


def match_segments(
    centres: np.ndarray, previous: np.ndarray, names: Sequence[str], last_number: int = 0
) -> list[tuple[str, float | None]]:
    """A name and the distance to its predecessor for each segment.

    centres: (k, features) and previous: (k before, features), both in the scaled units of the new
    fit; names: those of the previous segments, seg_N; last_number: the highest N that was ever
    given out. The pairs with the smallest sum of
    distances (Kuhn 1955, the Hungarian method) keep the name, unless they are more than
    NEW_BEYOND apart. A segment without a predecessor gets the next number that was never used,
    and None.
    """
    found: dict[int, tuple[str, float | None]] = {}
    if len(previous):
        apart = np.sqrt(((centres[:, None] - previous[None]) ** 2).sum(axis=2))
        for new, old in zip(*linear_sum_assignment(apart), strict=True):
            if apart[new, old] <= NEW_BEYOND:
                found[int(new)] = (names[old], float(apart[new, old]))
    for new in range(len(centres)):
        if new not in found:
            last_number += 1
            found[new] = (f"seg_{last_number}", None)
    return [found[new] for new in range(len(centres))]
