"""How many segments: k-means for each k in a range, measured on one sample, scored, chosen."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from persona_assets.segmentation.fit import SEARCH_ROWS, fit_range, polish
from persona_assets.segmentation.metrics import (
    calinski_harabasz,
    centroid_silhouette,
    davies_bouldin,
    silhouettes,
)

SILHOUETTE_ROWS = 4_000
POLISH_STEPS = 10
CANDIDATES = 5
BOOTSTRAPS = 8
TIE = 0.02
WEIGHTS = {
    "silhouette": 0.25,
    "calinski_harabasz": 0.25,
    "davies_bouldin": 0.25,
    "stability": 0.25,
}


@dataclass(frozen=True)
class KChoice:
    """The metrics of one k; a metric that is not defined for it is None.

    score: mean with WEIGHTS of silhouette, Calinski-Harabasz and Davies-Bouldin (inverted), each
    scaled to 0..1 over all k, and stability, which is in 0..1 already. inertia is reported, not
    scored: it always favours a larger k. tied: within TIE of the best score.
    """

    k: int
    inertia: float
    silhouette: float | None
    calinski_harabasz: float | None
    davies_bouldin: float | None
    stability: float | None
    score: float | None
    tied: bool
    chosen: bool


@dataclass(frozen=True)
class _Fit:
    k: int
    centres: np.ndarray
    labels: np.ndarray
    inertia: float
    calinski_harabasz: float
    davies_bouldin: float
    centroid_silhouette: np.ndarray


def choose_k(
    scaled: np.ndarray,
    k_min: int,
    k_max: int,
    seed: int = 0,
    exact: bool = False,
    progress: Callable[[str], None] = lambda message: None,
) -> list[KChoice]:
    """Measure every k from k_min to k_max and choose one.

    scaled: (customers, features) from prepare(), in no particular order. Centres are found on
    the first SEARCH_ROWS and polished on all rows, where inertia, Calinski-Harabasz and
    Davies-Bouldin are computed. The silhouette is that of SILHOUETTE_ROWS drawn from every
    cluster, the same ones for every k, corrected by how much the centroid silhouette of the
    sample is off that of all rows; with `exact`, it is that of all rows. The CANDIDATES best so
    far get a stability: the mean adjusted Rand index between the fit and fits on BOOTSTRAPS
    resamples. The highest score wins; among scores within TIE of it, the smallest k.

    With fewer than three different customers there is one segment (k = 1); with none, the list
    is empty. Raises ValueError on NaN and infinity.
    """
    if not np.isfinite(scaled).all():
        raise ValueError("The scaled features hold NaN or infinity.")
    if len(scaled) == 0:
        return []
    # With this few features a second thread gains little, and waits for long on a busy machine.
    with threadpool_limits(1):
        return _choose(scaled, k_min, k_max, seed, exact, progress)


def _choose(
    scaled: np.ndarray,
    k_min: int,
    k_max: int,
    seed: int,
    exact: bool,
    progress: Callable[[str], None],
) -> list[KChoice]:
    different = _different(scaled, k_max + 1)
    if different < 3:
        inertia = float(((scaled - scaled.mean(axis=0)) ** 2).sum())
        return [KChoice(1, inertia, None, None, None, None, None, True, True)]
    top = min(k_max, different - 1)
    fits = []
    for k, centres in fit_range(scaled, min(k_min, top), top, seed):
        fits.append(_measure(scaled, centres, POLISH_STEPS if not exact else 300))
        progress(f"k = {k}: inertia {fits[-1].inertia:,.0f}")
    silhouette = _exact_silhouettes(scaled, fits) if exact else _silhouettes(scaled, fits, seed)
    shape = {
        "silhouette": _scaled(silhouette),
        "calinski_harabasz": _scaled([fit.calinski_harabasz for fit in fits]),
        "davies_bouldin": _scaled([-fit.davies_bouldin for fit in fits]),
    }
    scores = sum(WEIGHTS[name] * values for name, values in shape.items())
    leading = sorted(np.argsort(-scores, kind="stable")[:CANDIDATES])
    stability = {}
    for i in leading:
        stability[i] = _stability(scaled[:SEARCH_ROWS], fits[i], seed)
        progress(f"k = {fits[i].k}: silhouette {silhouette[i]:.3f}, stability {stability[i]:.3f}")
    final = {i: scores[i] + WEIGHTS["stability"] * max(stability[i], 0.0) for i in leading}
    best = max(final.values())
    tied = {i for i in leading if final[i] >= best - TIE}
    return [
        KChoice(
            fit.k,
            fit.inertia,
            silhouette[i],
            fit.calinski_harabasz,
            fit.davies_bouldin,
            stability.get(i),
            float(final[i]) if i in final else None,
            bool(i in tied),
            bool(i == min(tied)),
        )
        for i, fit in enumerate(fits)
    ]


def _different(rows: np.ndarray, enough: int) -> int:
    """How many different rows there are, or `enough` if there are at least so many."""
    for size in (1_000, len(rows)):
        found = len(np.unique(rows[:size].round(9), axis=0))
        if found >= enough:
            return enough
    return found


def _measure(rows: np.ndarray, start: np.ndarray, steps: int) -> _Fit:
    model = polish(rows, start, steps)
    k, labels, centres = len(start), model.labels_, model.cluster_centers_
    distances = model.transform(rows)
    spread = np.bincount(labels, weights=distances[np.arange(len(rows)), labels], minlength=k)
    spread /= np.maximum(np.bincount(labels, minlength=k), 1)
    total = float(((rows - rows.mean(axis=0)) ** 2).sum())
    within = float(model.inertia_)
    return _Fit(
        k,
        centres,
        labels,
        within,
        calinski_harabasz(within, total, len(rows), k),
        davies_bouldin(centres, spread),
        centroid_silhouette(distances),
    )


def _silhouettes(rows: np.ndarray, fits: list[_Fit], seed: int) -> list[float]:
    """Silhouettes of a sample, with the centroid silhouette as control variate: it is known for
    the sample and for all rows, and the real one is off by as much, times the slope."""
    sample = _stratified(fits[-1].labels, SILHOUETTE_ROWS, np.random.default_rng(seed))
    found = silhouettes(rows[sample], [fit.labels[sample] for fit in fits])
    corrected = []
    for values, fit in zip(found, fits, strict=True):
        control = fit.centroid_silhouette[sample]
        spread = control.var()
        slope = np.cov(values, control)[0, 1] / spread if spread > 0 else 0.0
        off = fit.centroid_silhouette.mean() - control.mean()
        corrected.append(float(np.clip(values.mean() + slope * off, -1, 1)))
    return corrected


def _exact_silhouettes(rows: np.ndarray, fits: list[_Fit]) -> list[float]:
    return [float(values.mean()) for values in silhouettes(rows, [fit.labels for fit in fits])]


def _stratified(labels: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """Indexes of about `size` rows, from every label as many as its share."""
    if size >= len(labels):
        return np.arange(len(labels))
    shuffled = random.permutation(len(labels))
    by_label = shuffled[np.argsort(labels[shuffled], kind="stable")]
    # Every n-th row of rows sorted by label takes its share from each.
    places = (np.arange(size) + random.random()) * len(labels) / size
    return by_label[places.astype(int)]


def _scaled(values: list[float]) -> np.ndarray:
    array = np.asarray(values)
    width = array.max() - array.min()
    return (array - array.min()) / width if width > 0 else np.full(len(array), 1.0)


def _stability(rows: np.ndarray, fit: _Fit, seed: int) -> float:
    random = np.random.default_rng(seed)
    labels = fit.labels[: len(rows)]
    found = []
    for _ in range(BOOTSTRAPS):
        drawn = rows[random.integers(len(rows), size=len(rows))]
        if _different(drawn, fit.k) < fit.k:
            continue
        again = KMeans(
            n_clusters=fit.k, n_init=2, random_state=int(random.integers(2**31))
        ).fit(drawn)
        found.append(adjusted_rand_score(labels, again.predict(rows)))
    return float(np.mean(found)) if found else 0.0
