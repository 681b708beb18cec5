"""The k-means model: segments ordered by value, with what assignment needs."""

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans

from persona_assets.errors import InputError
from persona_assets.segmentation.prepare import prepare


@dataclass(frozen=True)
class Segments:
    """k segments, the one with the highest mean revenue first.

    customers: (k,) how many of the fitted customers are in each; means: (k, features) in the
    features' own units; intercept: (k,) and weights: (k, features) of the linear score; labels:
    (customers,) the segment of each fitted customer, 0 to k - 1.
    """

    customers: np.ndarray
    means: np.ndarray
    intercept: np.ndarray
    weights: np.ndarray
    labels: np.ndarray


def fit_segments(features: np.ndarray, k: int, value_column: int, seed: int = 0) -> Segments:
    """Fit k-means on features in their own units.

    features: (customers, features); value_column: the feature whose
    mean orders the segments. The squared distance of a customer z to the centroid c is
    |z|^2 + |c|^2 - 2 c.z; without |z|^2, which is the same for every segment, it is linear in z
    and so in LN(1 + feature): that is the linear score, and the smallest one wins.
    Raises InputError when there are fewer than k different customers.
    """
    scaled, scale = prepare(features)
    different = len(np.unique(scaled, axis=0))
    if k > different:
        raise InputError(
            f"k is {k} and there are only {different} different buyers: choose a smaller k."
        )
    model = KMeans(n_clusters=k, n_init=10, random_state=seed).fit(scaled)
    sums = np.zeros((k, features.shape[1]))
    np.add.at(sums, model.labels_, features)
    customers = np.bincount(model.labels_, minlength=k)
    means = sums / np.maximum(customers, 1)[:, None]
    order = np.argsort(-means[:, value_column], kind="stable")
    centres = model.cluster_centers_[order]
    weights = -2 * centres / scale.deviation
    intercept = (centres**2).sum(axis=1) - (weights * scale.mean).sum(axis=1)
    place = np.empty(k, dtype=int)
    place[order] = np.arange(k)
    return Segments(
        customers[order], means[order], intercept, weights, place[model.labels_]
    )
