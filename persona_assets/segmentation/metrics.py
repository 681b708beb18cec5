"""How good a clustering is: silhouette, Calinski-Harabasz, Davies-Bouldin, agreement.

All of them are computed from labels and centroids for many k at once, so that distances between
customers are computed one time only.
"""

from collections.abc import Sequence

import numpy as np

BLOCK = 1_000


def silhouettes(rows: np.ndarray, labellings: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Every customer's silhouette in each labelling of the same rows (Rousseeuw 1987).

    rows: (customers, features); labellings: arrays of (customers,) with labels from 0. Needs
    8 * BLOCK * customers bytes. A customer alone in a cluster gets 0, and so do all where there is
    one cluster only.
    """
    sizes = [np.bincount(labels) for labels in labellings]
    starts = np.cumsum([0, *map(len, sizes)])
    members = np.zeros((len(rows), starts[-1]), dtype=np.float32)
    for labels, start in zip(labellings, starts, strict=False):
        members[np.arange(len(rows)), start + labels] = 1
    values = [np.zeros(len(rows)) for _ in labellings]
    squares = (rows**2).sum(axis=1)
    for at in range(0, len(rows), BLOCK):
        block = slice(at, at + BLOCK)
        distances = squares[block, None] + squares[None, :] - 2 * rows[block] @ rows.T
        distances = np.sqrt(np.maximum(distances, 0)).astype(np.float32)
        sums = distances @ members
        for i, (labels, size) in enumerate(zip(labellings, sizes, strict=True)):
            own = labels[block]
            place = np.arange(len(own))
            to_each = sums[:, starts[i] : starts[i + 1]].astype(float)
            alone = size[own] == 1
            inside = to_each[place, own] / np.maximum(size[own] - 1, 1)
            to_each /= np.maximum(size, 1)
            to_each[:, size == 0] = np.inf
            to_each[place, own] = np.inf
            outside = to_each.min(axis=1)
            with np.errstate(invalid="ignore"):
                found = (outside - inside) / np.maximum(outside, inside)
            values[i][block] = np.where(alone | ~np.isfinite(found), 0.0, found)
    return values


def centroid_silhouette(distances: np.ndarray) -> np.ndarray:
    """Each customer's silhouette with centroids in place of clusters.

    distances: (customers, k), to the centroids, k >= 2. It costs k distances a customer instead
    of one to every other customer, and goes up and down with the real one.
    """
    nearest, second = np.partition(distances, 1, axis=1)[:, :2].T
    return np.where(second > 0, (second - nearest) / np.maximum(second, 1e-300), 0.0)


def calinski_harabasz(within: float, total: float, customers: int, k: int) -> float:
    """(B / (k - 1)) / (W / (n - k)), with W = within and B = total - within, sums of squared
    distances to the centroids and to the mean (Calinski and Harabasz 1974)."""
    return float((total - within) / (k - 1) / max(within / (customers - k), 1e-300))


def davies_bouldin(centres: np.ndarray, spread: np.ndarray) -> float:
    """Mean over i of the largest (s_i + s_j) / |c_i - c_j| (Davies and Bouldin 1979).

    centres: (k, features); spread: (k,), the mean distance of a cluster's customers to its centre.
    """
    apart = np.sqrt(((centres[:, None] - centres[None]) ** 2).sum(axis=2))
    np.fill_diagonal(apart, np.inf)
    ratios = (spread[:, None] + spread[None]) / np.maximum(apart, 1e-300)
    np.fill_diagonal(ratios, -np.inf)
    return float(ratios.max(axis=1).mean())
