"""Similarity maps and the geometry of token clouds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import cosine_similarity

from probes.geometry import participation_ratio, token_norm
from probes.similarity import similarity_map, unit

RNG = np.random.default_rng(0)


def test_map_equals_scikit_learn() -> None:
    x = RNG.normal(size=(12, 7)) + 2.0
    for centre in (False, True):
        y = x - x.mean(axis=0) if centre else x
        found = similarity_map(x, 5, 3, 4, centre=centre)
        assert found.shape == (3, 4)
        np.testing.assert_allclose(found.ravel(), cosine_similarity(y)[5], atol=1e-5)
    assert similarity_map(x, 5, 3, 4)[1, 1] == pytest.approx(1.0)


def test_zero_token_is_like_nothing() -> None:
    x = np.array([[0.0, 0.0], [1.0, 0.0]])
    assert similarity_map(x, 1, 1, 2).tolist() == [[0.0, 1.0]]
    assert np.isfinite(unit(x)).all()


def test_what_is_not_finite_is_like_nothing_and_says_so() -> None:
    x = np.array([[np.nan, 1.0], [1.0, 0.0], [np.inf, 0.0], [0.6, 0.8]])
    found = similarity_map(x, 1, 2, 2).ravel()
    assert np.isnan(found[[0, 2]]).all() and found[[1, 3]] == pytest.approx([1.0, 0.6])


@pytest.mark.parametrize("value", [0.1, 1e4 / 3])
def test_centring_tokens_that_are_the_same_leaves_nothing(value: float) -> None:
    same = np.full((50, 3), value, np.float32)
    assert (unit(same, centre=True) == 0).all()
    assert np.isnan(participation_ratio(same))
    same[0] *= 1.01  # One that differs is enough.
    assert np.linalg.norm(unit(same, centre=True), axis=1) == pytest.approx(np.ones(50))
    assert participation_ratio(same) == pytest.approx(1.0)


@pytest.mark.parametrize(("token", "rows"), [(12, 3), (-1, 3), (0, 4)])
def test_wrong_token_or_grid_is_refused(token: int, rows: int) -> None:
    with pytest.raises(ValueError):
        similarity_map(np.ones((12, 2)), token, rows, 4)


@pytest.mark.parametrize("shape", [(30, 6), (6, 30)])
def test_participation_ratio_equals_eigenvalues(shape: tuple[int, int]) -> None:
    x = RNG.normal(size=shape) * np.linspace(0.2, 3, shape[1])
    values = PCA().fit(x).explained_variance_
    assert participation_ratio(x) == pytest.approx(values.sum() ** 2 / (values**2).sum())


def test_participation_ratio_of_known_clouds() -> None:
    square = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    line = square * [1, 0, 0]
    found = participation_ratio(np.stack([square + 5, line, np.ones((4, 3))]))
    assert found[:2] == pytest.approx([2.0, 1.0])
    assert np.isnan(found[2])


def test_token_norm_is_not_moved_by_one_sink() -> None:
    x = np.full((5, 4), 1.5)
    x[0] *= 1000
    assert token_norm(x) == pytest.approx(3.0)
