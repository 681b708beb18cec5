"""k-means: fits for a range of k, and the model that customers are assigned with."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans

from persona_assets.errors import InputError
from persona_assets.segmentation.prepare import Scale, prepare

SEARCH_ROWS = 20_000
STARTS = 3


@dataclass(frozen=True)
class Segments:
    """k segments.

    customers: (k,) how many of the fitted customers are in each; centres: (k, features) in scaled
    units; labels: (customers,) the segment of each fitted customer, 0 to k - 1; scale: how
    features were scaled.
    """

    customers: np.ndarray
    centres: np.ndarray
    labels: np.ndarray
    scale: Scale


def fit_segments(features: np.ndarray, k: int, seed: int = 0) -> Segments:
    """Fit k-means on features in their own units, the segment with the highest mean of the
    second one (revenue) first.

    features: (customers, 3), columns as in FEATURES, in no particular order. Raises InputError
    when there are fewer than k different customers.
    """
    scaled, scale = prepare(features)
    different = len(np.unique(scaled, axis=0))
    if k > different:
        raise InputError(
            f"k is {k} and there are only {different} different buyers: choose a smaller k."
        )
    search = KMeans(n_clusters=k, n_init=10, random_state=seed).fit(scaled[:SEARCH_ROWS])
    model = polish(scaled, search.cluster_centers_)
    order = np.argsort(-mean_by_label(features[:, 1], model.labels_, k), kind="stable")
    centres = model.cluster_centers_[order]
    place = np.empty(k, dtype=int)
    place[order] = np.arange(k)
    labels = place[model.labels_]
    customers = np.bincount(labels, minlength=k)
    return Segments(customers, centres, labels, scale)


def fit_range(
    rows: np.ndarray, k_min: int, k_max: int, seed: int
) -> Iterator[tuple[int, np.ndarray]]:
    """(k, centres) for each k from k_min to k_max, found on the first SEARCH_ROWS rows.

    Each k starts from the centres of the one before and a new one, drawn like k-means++ draws
    it, with a chance that grows with the squared distance to the nearest centre, and as often
    from k-means++ itself, lest a poor fit is handed on; the best of 2 * STARTS wins.
    """
    found = rows[:SEARCH_ROWS]
    random = np.random.default_rng(seed)
    best = KMeans(n_clusters=k_min, n_init=2 * STARTS, random_state=seed).fit(found)
    yield k_min, best.cluster_centers_
    for k in range(k_min + 1, k_max + 1):
        far = (best.transform(found).min(axis=1)) ** 2
        drawn = random.choice(len(found), size=STARTS, p=far / far.sum())
        tried = [polish(found, np.vstack([best.cluster_centers_, found[[new]]])) for new in drawn]
        fresh = KMeans(n_clusters=k, n_init=STARTS, random_state=int(random.integers(2**31)))
        tried.append(fresh.fit(found))
        best = min(tried, key=lambda model: model.inertia_)
        yield k, best.cluster_centers_


def polish(rows: np.ndarray, centres: np.ndarray, steps: int = 300) -> KMeans:
    """k-means on all rows from these centres, at most so many steps."""
    return KMeans(n_clusters=len(centres), init=centres, n_init=1, max_iter=steps).fit(rows)


def mean_by_label(values: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """The mean of the values of each label, (k,)."""
    counts = np.bincount(labels, minlength=k)
    return np.bincount(labels, weights=values, minlength=k) / np.maximum(counts, 1)
