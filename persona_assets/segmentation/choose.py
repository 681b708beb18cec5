"""How many segments: k-means for each k in a range, measured on one sample, scored, chosen."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)

SEARCH_ROWS = 20_000
SILHOUETTE_ROWS = 4_000
CANDIDATES = 5
BOOTSTRAPS = 5


@dataclass(frozen=True)
class KChoice:
    """The metrics of one k; a metric that is not defined for it is None.

    score: mean of silhouette, Calinski-Harabasz, Davies-Bouldin (inverted) and stability, each
    scaled to 0..1 over the candidates. inertia is reported, not scored: it always favours a
    larger k.
    """

    k: int
    inertia: float
    silhouette: float | None
    calinski_harabasz: float | None
    davies_bouldin: float | None
    stability: float | None
    score: float | None
    chosen: bool


def choose_k(
    scaled: np.ndarray,
    k_min: int,
    k_max: int,
    seed: int = 0,
    progress: Callable[[str], None] = lambda message: None,
) -> list[KChoice]:
    """Measure every k from k_min to k_max and choose one.

    scaled: (customers, features) from prepare(). The first SEARCH_ROWS rows are used, and the
    same SILHOUETTE_ROWS of them for every k, so rows must come in no particular order. The
    CANDIDATES best by silhouette, Calinski-Harabasz and Davies-Bouldin also get a stability: the
    mean adjusted Rand index between the fit and fits on bootstraps. The highest score wins, the
    smaller k on a tie. With fewer than three different customers there is one segment (k = 1);
    with none, the list is empty.
    """
    if not np.isfinite(scaled).all():
        raise ValueError("The scaled features hold NaN or infinity.")
    if len(scaled) == 0:
        return []
    rows = scaled[:SEARCH_ROWS]
    different = len(np.unique(rows.round(9), axis=0))
    if different < 3:
        inertia = float(((rows - rows.mean(axis=0)) ** 2).sum())
        return [KChoice(1, inertia, None, None, None, None, None, True)]
    top = min(k_max, different - 1)
    measured = []
    for k in range(min(k_min, top), top + 1):
        model = _fit(rows, k, seed)
        labels = model.labels_
        measured.append(
            (
                k,
                float(model.inertia_),
                _silhouette(rows[:SILHOUETTE_ROWS], labels[:SILHOUETTE_ROWS]),
                float(calinski_harabasz_score(rows, labels)),
                float(davies_bouldin_score(rows, labels)),
            )
        )
        progress(f"k = {k}: silhouette {measured[-1][2]:.3f}")
    shape = np.column_stack(
        [
            _scaled([m[2] for m in measured]),
            _scaled([m[3] for m in measured]),
            _scaled([-m[4] for m in measured]),
        ]
    ).mean(axis=1)
    leading = sorted(np.argsort(-shape, kind="stable")[:CANDIDATES])
    stability = {i: _stability(rows, measured[i][0], seed) for i in leading}
    scores = {i: (3 * shape[i] + max(stability[i], 0.0)) / 4 for i in leading}
    best = max(leading, key=lambda i: (round(scores[i], 6), -measured[i][0]))
    return [
        KChoice(*m, stability.get(i), float(scores[i]) if i in scores else None, bool(i == best))
        for i, m in enumerate(measured)
    ]


def _fit(rows: np.ndarray, k: int, seed: int) -> KMeans:
    return KMeans(n_clusters=k, n_init=3, random_state=seed).fit(rows)


def _silhouette(rows: np.ndarray, labels: np.ndarray) -> float:
    found = len(np.unique(labels))
    if not 1 < found < len(rows):
        return 0.0
    return float(silhouette_score(rows, labels))


def _scaled(values: list[float]) -> np.ndarray:
    array = np.asarray(values)
    width = array.max() - array.min()
    return (array - array.min()) / width if width > 0 else np.full(len(array), 1.0)


def _stability(rows: np.ndarray, k: int, seed: int) -> float:
    labels = _fit(rows, k, seed).labels_
    random = np.random.default_rng(seed)
    found = []
    for _ in range(BOOTSTRAPS):
        drawn = random.integers(len(rows), size=len(rows))
        if len(np.unique(rows[drawn], axis=0)) < k:
            continue
        again = _fit(rows[drawn], k, seed).predict(rows)
        found.append(adjusted_rand_score(labels, again))
    return float(np.mean(found)) if found else 0.0
