"""The metrics against scikit-learn's own."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_samples

from persona_assets.segmentation import choose
from persona_assets.segmentation.metrics import BLOCK, silhouettes


def rows(count=300, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(count, 3)) + random.integers(4, size=(count, 1)) * 1.5


@pytest.mark.parametrize("count", [60, BLOCK + 50])
def test_silhouettes_of_many_labellings_are_those_of_scikit_learn(count):
    points = rows(count)
    labellings = [KMeans(k, n_init=1, random_state=0).fit(points).labels_ for k in (2, 3, 7)]
    for ours, labels in zip(silhouettes(points, labellings), labellings, strict=True):
        assert ours == pytest.approx(silhouette_samples(points, labels), abs=1e-4)


def test_a_customer_alone_in_a_cluster_has_no_silhouette():
    points = np.array([[0.0, 0, 0], [0.1, 0, 0], [9, 9, 9]])
    (ours,) = silhouettes(points, [np.array([0, 0, 1])])
    assert ours[2] == 0
    assert ours[:2].min() > 0.9


def test_one_cluster_has_no_silhouette():
    (ours,) = silhouettes(rows(20), [np.zeros(20, dtype=int)])
    assert ours.tolist() == [0.0] * 20


@pytest.mark.parametrize("k", [2, 5])
def test_closed_forms_are_those_of_scikit_learn(k):
    points = rows()
    start = KMeans(k, n_init=2, random_state=0).fit(points).cluster_centers_
    fit = choose._measure(points, start, 300)
    assert fit.calinski_harabasz == pytest.approx(calinski_harabasz_score(points, fit.labels))
    assert fit.davies_bouldin == pytest.approx(davies_bouldin_score(points, fit.labels))


def test_the_sampled_silhouette_is_near_the_exact_one():
    points = rows(6_000)
    starts = [KMeans(k, n_init=2, random_state=0).fit(points) for k in (2, 3, 4, 6)]
    fits = [choose._measure(points, start.cluster_centers_, 50) for start in starts]
    exact = choose._exact_silhouettes(points, fits)
    for seed in range(3):
        assert choose._silhouettes(points, fits, seed) == pytest.approx(exact, abs=0.01)
