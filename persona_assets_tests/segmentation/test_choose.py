"""How many segments: the choice of k on rows whose answer is known, and at the edges."""

import hashlib
import warnings
from dataclasses import replace

import numpy as np
import pytest

from persona_assets.segmentation import FEATURES, choose, choose_k, hash_cutoff, prepare

WIDTH = len(FEATURES)


def blobs(k: int, rows: int = 240, spread: float = 0.05, seed: int = 0) -> np.ndarray:
    """Rows around k centres that are far apart, in no particular order."""
    random = np.random.default_rng(seed)
    centres = random.permutation(k)[:, None] * 4 + random.normal(size=(k, WIDTH))
    return centres[random.integers(k, size=rows)] + random.normal(scale=spread, size=(rows, WIDTH))


@pytest.fixture
def one_bootstrap(monkeypatch):
    """For tests that look at something else than stability, which is most of the time spent."""
    monkeypatch.setattr(choose, "BOOTSTRAPS", 1)


def chosen(choices: list) -> int:
    (k,) = (choice.k for choice in choices if choice.chosen)
    return k


@pytest.mark.parametrize("k", [2, 3, 5, 7])
def test_known_blobs_give_the_known_k(k):
    assert chosen(choose_k(blobs(k), 2, 8)) == k


def test_the_same_seed_gives_the_same_choice():
    rows = blobs(4, spread=1.0)
    assert choose_k(rows, 2, 5, seed=3) == choose_k(rows.copy(), 2, 5, seed=3)


def test_the_seed_reaches_the_bootstraps():
    rows = blobs(4, spread=1.5)
    one, other = (choose_k(rows, 2, 5, seed=seed) for seed in (1, 2))
    assert [choice.stability for choice in one] != [choice.stability for choice in other]


@pytest.mark.usefixtures("one_bootstrap")
@pytest.mark.parametrize("spread", [0.05, 0.6])
def test_inertia_never_rises_with_k(spread):
    inertia = [choice.inertia for choice in choose_k(blobs(5, spread=spread), 2, 8)]
    assert len(inertia) == 7
    assert all(after < before for before, after in zip(inertia, inertia[1:], strict=False))


@pytest.mark.usefixtures("one_bootstrap")
def test_small_shops_are_measured_exactly():
    rows = blobs(3, spread=0.8)
    assert choose_k(rows, 2, 5) == [
        replace(sampled, silhouette=pytest.approx(sampled.silhouette, abs=1e-6))
        for sampled in choose_k(rows, 2, 5, exact=True)
    ]


def test_the_score_is_the_mean_of_the_scaled_metrics():
    choices = choose_k(blobs(3, spread=0.8), 2, 5)

    def scaled(values):
        low, high = min(values), max(values)
        return [(value - low) / (high - low) for value in values]

    metrics = zip(
        scaled([choice.silhouette for choice in choices]),
        scaled([choice.calinski_harabasz for choice in choices]),
        scaled([-choice.davies_bouldin for choice in choices]),
        [choice.stability for choice in choices],
        strict=True,
    )
    assert [choice.score for choice in choices] == pytest.approx(
        [sum(four) / 4 for four in metrics]
    )
    assert chosen(choices) == max(choices, key=lambda choice: choice.score).k


def test_stability_is_the_mean_agreement_with_fits_on_bootstraps():
    close, apart = (choose_k(blobs(4, spread=spread), 4, 4)[0] for spread in (4.0, 0.01))
    assert apart.stability == pytest.approx(1.0)
    assert 0 < close.stability < 0.9


@pytest.mark.usefixtures("one_bootstrap")
def test_only_the_leading_candidates_get_a_score():
    choices = choose_k(blobs(2), 2, 8)
    scored = [choice for choice in choices if choice.score is not None]
    assert len(choices) == 7 and len(scored) == choose.CANDIDATES
    assert [c.stability is None for c in choices] == [c.score is None for c in choices]
    assert chosen(choices) in [choice.k for choice in scored]


def test_scores_that_are_nearly_equal_are_a_tie_and_the_smaller_k_wins(monkeypatch):
    monkeypatch.setattr(choose, "_scaled", lambda values: np.ones(len(values)))
    worse = {3: 4 * choose.TIE * 1.1, 4: 4 * choose.TIE * 0.9}
    monkeypatch.setattr(choose, "_stability", lambda rows, fit, seed: 1.0 - worse.get(fit.k, 0))
    choices = choose_k(blobs(6), 3, 6)
    assert [choice.k for choice in choices if choice.tied] == [4, 5, 6]
    assert chosen(choices) == 4


def test_of_equal_scores_the_smaller_k_wins(monkeypatch):
    monkeypatch.setattr(choose, "_scaled", lambda values: np.ones(len(values)))
    monkeypatch.setattr(choose, "_stability", lambda rows, fit, seed: 1.0)
    choices = choose_k(blobs(6), 3, 6)
    assert {choice.score for choice in choices} == {1.0}
    assert chosen(choices) == 3


def test_a_single_candidate_scores_in_full_when_it_is_stable():
    (choice,) = choose_k(blobs(3, spread=0.01), 3, 3)
    assert (choice.k, choice.chosen) == (3, True)
    assert choice.score == pytest.approx(1.0)


@pytest.mark.usefixtures("one_bootstrap")
def test_k_stays_below_the_number_of_different_customers():
    rows = np.repeat(np.arange(5.0)[:, None] * np.ones(WIDTH), 20, axis=0)
    assert [choice.k for choice in choose_k(rows, 2, 12)] == [2, 3, 4]
    assert [choice.k for choice in choose_k(rows, 8, 12)] == [4]


@pytest.mark.usefixtures("one_bootstrap")
def test_progress_tells_every_k():
    told = []
    choose_k(blobs(2), 2, 4, progress=told.append)
    assert [line.split(":")[0] for line in told] == ["k = 2", "k = 3", "k = 4"] * 2


def test_no_customers_give_no_choice():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled, _ = prepare(np.empty((0, WIDTH)))
    assert choose_k(scaled, 2, 12) == []


@pytest.mark.parametrize(
    ("rows", "inertia"),
    [
        (np.ones((1, WIDTH)), 0.0),
        (np.ones((30, WIDTH)), 0.0),
        (np.array([[0.0] * WIDTH, [2.0] * WIDTH]), 2.0 * WIDTH),
        (np.array([[0.0] * WIDTH] * 10 + [[2.0] * WIDTH] * 10), 20.0 * WIDTH),
    ],
    ids=["one", "all alike", "two", "two different among many"],
)
def test_fewer_than_three_different_customers_are_one_segment(rows, inertia):
    (choice,) = choose_k(rows, 2, 12)
    assert (choice.k, choice.chosen) == (1, True)
    assert choice.inertia == pytest.approx(inertia)
    assert (choice.silhouette, choice.calinski_harabasz, choice.davies_bouldin) == (None,) * 3
    assert (choice.stability, choice.score) == (None, None)


def test_three_different_customers_are_two_segments():
    rows = np.array([[0.0] * WIDTH, [1.0] * WIDTH, [9.0] * WIDTH])
    for seed in range(5):  # some of their bootstraps hold one customer only
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            (choice,) = choose_k(rows, 2, 12, seed=seed)
        assert choice.k == 2
        assert all(np.isfinite([choice.silhouette, choice.stability, choice.score]))


@pytest.mark.usefixtures("one_bootstrap")
def test_one_whale_does_not_break_the_choice():
    random = np.random.default_rng(0)
    features = np.vstack([random.uniform(1, 3, size=(80, WIDTH)), np.full((1, WIDTH), 1e9)])
    choices = choose_k(prepare(features)[0], 2, 4)
    assert chosen(choices) == 2
    assert all(np.isfinite(choice.inertia) for choice in choices)


@pytest.mark.usefixtures("one_bootstrap")
def test_a_whale_outside_the_measured_rows_does_no_harm(monkeypatch):
    monkeypatch.setattr(choose, "SILHOUETTE_ROWS", 20)
    random = np.random.default_rng(0)
    rows = np.vstack([random.normal(size=(60, WIDTH)), np.full((1, WIDTH), 1e6)])
    for seed in range(5):
        assert -1 <= choose_k(rows, 2, 3, seed=seed)[0].silhouette <= 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rows", [1, 2, 40])
def test_what_is_not_finite_is_refused(value, rows):
    scaled = blobs(2, rows)
    scaled[0, 1] = value
    with pytest.raises(ValueError, match="NaN or infinity"):
        choose_k(scaled, 2, 4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_named(value):
    features = np.ones((6, WIDTH))
    features[:2, FEATURES.index("total_revenue")] = value
    with pytest.raises(ValueError, match=r"NaN or infinite: total_revenue \(2\)\."):
        prepare(features)


def test_features_are_standardised_and_a_constant_one_says_nothing():
    features = np.random.default_rng(1).lognormal(size=(200, WIDTH))
    features[:, 2] = 7.0
    scaled, scale = prepare(features)
    varying = [0, 1]
    assert scaled.mean(axis=0) == pytest.approx(np.zeros(WIDTH), abs=1e-9)
    assert scaled[:, varying].std(axis=0) == pytest.approx(np.ones(2))
    assert scaled[:, 2] == pytest.approx(np.zeros(200), abs=1e-9)
    assert scale.mean[2] == pytest.approx(np.log(8))


def test_a_negative_feature_counts_as_zero():
    features = np.abs(np.random.default_rng(1).normal(size=(20, WIDTH)))
    refunded = features.copy()
    features[3, 2], refunded[3, 2] = 0.0, -50.0
    assert np.array_equal(prepare(features)[0], prepare(refunded)[0])


@pytest.mark.parametrize("buyers", [0, 1, 5_000, 200_000])
def test_the_cutoff_lets_all_wanted_buyers_in_and_few_more(buyers):
    hashes = [hashlib.md5(str(user).encode()).hexdigest() for user in range(buyers)]
    cutoff = hash_cutoff(buyers, 5_000)
    below = sum(value < cutoff for value in hashes)
    assert min(buyers, 5_000) <= below <= 6_000
