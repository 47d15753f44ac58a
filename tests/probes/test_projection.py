"""PCA against numpy; the others on clusters that any of them must keep apart."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from probes.projection import METHODS, available, most_neighbours, nearest, project

EVERY = [
    pytest.param(name, marks=pytest.mark.skipif(name not in available(), reason=f"{name} is not installed"))
    for name in METHODS
]


def clusters(n: int = 120, width: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    return 6 * np.eye(3, width)[y] + rng.normal(size=(n, width)) + 2, y


@pytest.mark.parametrize(("n", "width"), [(120, 20), (12, 300), (5, 1), (900, 700)])
def test_pca_is_the_singular_value_decomposition(n: int, width: int) -> None:
    x = np.random.default_rng(1).normal(size=(n, width)) * np.linspace(5, 1, width) + 100
    found = project(x)
    left, sizes, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    for k in range(min(2, width)):
        there = left[:, k] * sizes[k]
        sign = np.sign(np.vdot(found.points[:, k], there))
        np.testing.assert_allclose(found.points[:, k] * sign, there, atol=1e-2)
        assert found.shares[k] == pytest.approx(sizes[k] ** 2 / (sizes**2).sum(), abs=1e-4)


@pytest.mark.parametrize("method", EVERY)
def test_clusters_stay_apart_and_seeds_repeat(method: str) -> None:
    x, y = clusters()
    found = project(x, method, seed=3)
    assert found.points.shape == (120, 2) and found.points.dtype == np.float32
    assert KNeighborsClassifier(5).fit(found.points[::2], y[::2]).score(found.points[1::2], y[1::2]) > 0.95
    assert np.array_equal(found.points, project(x, method, seed=3).points)


@pytest.mark.parametrize("method", EVERY)
def test_a_handful_of_tokens_has_a_place(method: str) -> None:
    few = 2 if method == "tsne" else 3
    points = project(np.random.default_rng(2).normal(size=(7, 8)), method, neighbours=few).points
    assert points.shape == (7, 2) and np.isfinite(points).all()


def test_what_cannot_be_projected_is_refused() -> None:
    x, _ = clusters()
    with pytest.raises(ValueError, match="not among the methods"):
        project(x, "mds")
    with pytest.raises(ValueError, match="takes 2 to 119 neighbours, not 120"):
        project(x, "umap", neighbours=120)
    with pytest.raises(ValueError, match="takes 2 to 39 neighbours, not 40"):
        project(x, "tsne", neighbours=40)
    assert most_neighbours("umap", 16) == 15
    for bad in (x[:3], x[0], np.full((5, 3), np.inf)):
        with pytest.raises(ValueError, match="states must"):
            project(bad)


def test_neighbours_are_those_of_scikit_learn_and_each_token_its_own_first() -> None:
    x = np.random.default_rng(4).normal(size=(1500, 12)).astype(np.float32) + 50
    x[7] = x[1200]
    near, far = nearest(x, 6)
    distances, there = (
        NearestNeighbors(n_neighbors=6, algorithm="brute").fit(x.astype(np.float64)).kneighbors(x)
    )
    np.testing.assert_allclose(far, distances, atol=5e-3)
    assert (near[:, 0] == np.arange(1500)).all() and {7, 1200} == set(near[7, :2].tolist())
    assert np.mean(near == there) > 0.998
