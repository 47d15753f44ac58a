"""Shapes of clouds of tokens against scikit-learn, numpy and clouds whose shape is known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import cosine_similarity

from probes.covariance import Covariance, Influence, influenced
from probes.geometry import (
    anisotropy,
    components_for,
    feature_correlation,
    outliers,
    participation_ratio,
    spectrum,
)


def cloud(n: int = 200, width: int = 12, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, width)) * np.linspace(3, 0.2, width) + 5


def test_the_spectrum_is_that_of_pca() -> None:
    x = cloud()
    reference = PCA().fit(x).explained_variance_ratio_
    np.testing.assert_allclose(spectrum(x), reference)
    for share in (0.5, 0.9, 1.0):
        expected = int(np.searchsorted(reference.cumsum(), share - 1e-9)) + 1
        assert components_for(x, share) == expected
    assert participation_ratio(x) == pytest.approx(1 / (spectrum(x) ** 2).sum())


def test_known_clouds() -> None:
    rng = np.random.default_rng(1)
    line = np.outer(rng.normal(size=50), rng.normal(size=7)) + 3
    assert components_for(line) == 1 and feature_correlation(line) == pytest.approx(1.0)
    cross = np.vstack([np.eye(6), -np.eye(6)])
    assert components_for(cross) == 6 and feature_correlation(cross) == pytest.approx(0.0, abs=1e-12)
    assert anisotropy(cross) == pytest.approx(-1 / 11)
    same = np.full((5, 4), 0.3)
    assert np.isnan(components_for(same)) and np.isnan(feature_correlation(same))
    assert anisotropy(same) == pytest.approx(1.0)


def test_correlation_is_numpys() -> None:
    x = cloud(width=6) @ np.random.default_rng(2).normal(size=(6, 6))
    x = np.column_stack([x, np.full(len(x), 2.0)])
    among = np.corrcoef(x[:, :6].T)[~np.eye(6, dtype=bool)]
    assert feature_correlation(x) == pytest.approx(np.abs(among).mean())


def test_what_independent_features_give_by_chance() -> None:
    x = np.random.default_rng(3).normal(size=(400, 80))
    assert feature_correlation(x) == pytest.approx(np.sqrt(2 / (np.pi * 400)), rel=0.05)


def test_anisotropy_is_the_mean_cosine_of_all_pairs() -> None:
    x = np.stack([cloud(30), cloud(30, seed=4) - 5])
    off = ~np.eye(30, dtype=bool)
    np.testing.assert_allclose(anisotropy(x), [cosine_similarity(each)[off].mean() for each in x], atol=1e-6)
    assert np.isnan(anisotropy(x[:, :1])).all()


def test_long_tokens_stand_out_and_others_do_not() -> None:
    x = cloud(100)[None].repeat(2, axis=0)
    x[0, 7] *= 40
    x[0, 31] *= 9
    found = outliers(x)
    assert found.which[0].nonzero()[0].tolist() == [7, 31] and not found.which[1].any()
    np.testing.assert_allclose(found.norms, np.linalg.norm(x, axis=-1))
    assert not outliers(np.ones((1, 9, 3))).which.any()
    nearly = np.ones((1, 9, 3))
    nearly[0, 0] *= 1.5
    assert not outliers(nearly).which.any(), "half as long again is no outlier, however alike the rest is"


@pytest.mark.parametrize(("n", "width"), [(200, 12), (9, 12)])
def test_batches_have_the_shape_of_the_whole(n: int, width: int) -> None:
    x = cloud(n, width) @ np.random.default_rng(2).normal(size=(width, width)) + 1e5
    x[:, 3] = 4.0
    found = Covariance(width)
    for part in np.array_split(x[: n - 3], 5):
        found.update(part)
    found.update(x[n - 3 :].reshape(3, 1, width))
    found.update(x[:0])
    assert found.n == n
    np.testing.assert_allclose(found.mean, x.mean(axis=0))
    np.testing.assert_allclose(found.value, np.cov(x.T, bias=True), atol=1e-8)
    np.testing.assert_allclose(found.spectrum(), spectrum(x), atol=1e-9)
    assert found.participation_ratio() == pytest.approx(float(participation_ratio(x)))
    assert found.feature_correlation() == pytest.approx(feature_correlation(x))
    assert [found.components_for(s) for s in (0.5, 0.9)] == [components_for(x, s) for s in (0.5, 0.9)]


def test_a_data_set_without_spread_has_no_shape() -> None:
    found = Covariance(4)
    with pytest.raises(ValueError, match="two or more"):
        found.spectrum()
    for _ in range(3):
        found.update(np.full((5, 4), 0.3))
    shape = (found.participation_ratio(), found.feature_correlation(), found.components_for())
    assert np.isnan(shape).all() and np.isnan(found.spectrum()).all()
    for bad in (np.ones((2, 5)), np.ones(4), np.full((2, 4), np.inf)):
        with pytest.raises(ValueError, match="states must"):
            found.update(bad)
    with pytest.raises(ValueError, match="share"):
        found.components_for(0.0)


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((1, 3)), np.full((4, 3), np.nan)])
def test_bad_states_are_refused(bad: np.ndarray) -> None:
    for measure in (spectrum, feature_correlation):
        with pytest.raises(ValueError, match="states must"):
            measure(bad)
    with pytest.raises(ValueError, match="share"):
        components_for(cloud(), 1.5)
    with pytest.raises(ValueError, match="states must"):
        outliers(np.zeros(3))


# Intervals of numbers of a covariance


def images(count: int, seed: int, width: int = 6, tokens: int = 9) -> np.ndarray:
    """Images whose tokens share a lot: each has a size and a direction of its own."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).normal(size=(width, width))
    size = rng.gamma(2.0, 0.5, size=(count, 1, 1))
    own = rng.normal(size=(count, 1, width))
    return (rng.normal(size=(count, tokens, width)) * size + own) @ mix + 40.0


def gathered(states: np.ndarray) -> Covariance:
    sums = Covariance(states.shape[-1])
    sums.update(states)
    return sums


def test_slopes_are_the_gradients_of_their_numbers() -> None:
    x = images(30, 0).reshape(-1, 6)
    x[:, 4] = 3.0  # A constant feature takes no part.
    sums, step = gathered(x), 1e-6
    c = sums.value

    def effective(c: np.ndarray) -> float:
        return float(np.trace(c) ** 2 / (c * c).sum())

    def correlated(c: np.ndarray) -> float:
        kept = np.delete(np.delete(c, 4, 0), 4, 1)
        r = kept / np.sqrt(np.outer(np.diag(kept), np.diag(kept)))
        return float((np.abs(r).sum() - 5) / 20)

    rng = np.random.default_rng(1)
    for number, slope in (
        (effective, sums.slope_of_participation_ratio()),
        (correlated, sums.slope_of_feature_correlation()),
    ):
        way = rng.normal(size=(6, 6))
        way = way + way.T
        if number is correlated:
            way[4] = way[:, 4] = 0.0
        moved = (number(c + step * way) - number(c - step * way)) / (2 * step)
        assert moved == pytest.approx(float((slope * way).sum()), rel=1e-4, abs=1e-9)


def test_intervals_of_a_covariance_are_those_of_resampled_images() -> None:
    x = images(300, 1)
    before = gathered(images(300, 2))
    influence = Influence(
        before.mean, [before.slope_of_participation_ratio(), before.slope_of_feature_correlation()]
    )
    sums = np.concatenate([influence.of(part) for part in np.array_split(x, 7)])
    whole = gathered(x)
    rng = np.random.default_rng(0)
    again = [gathered(x[rng.integers(len(x), size=len(x))]) for _ in range(600)]
    for k, name in enumerate(("participation_ratio", "feature_correlation")):
        value = getattr(whole, name)()
        found = influenced(value, sums[:, k], np.full(len(x), 9), resamples=2000, seed=0)
        low, high = np.quantile([getattr(each, name)() for each in again], [0.025, 0.975])
        assert found.n == 300 and found.value == value
        assert found.high - found.low == pytest.approx(high - low, rel=0.2)
        assert found.low == pytest.approx(low, abs=0.15 * (high - low))


def test_one_image_leaves_no_interval_of_a_covariance() -> None:
    found = influenced(3.0, [1.0], [9], resamples=100, seed=0)
    assert found.value == 3.0 and np.isnan(found.low) and found.n == 1
