"""Principal components against scikit-learn's full decomposition, small and large, flat and steep spectra."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from probes import principal as under_test
from probes.principal import principal


def decaying(n: int, width: int, rank: int = 60) -> np.ndarray:
    rng = np.random.default_rng(0)
    steep = rng.normal(size=(n, rank)) / np.arange(1, rank + 1) ** 0.7
    return steep @ rng.normal(size=(rank, width)) + 0.05 * rng.normal(size=(n, width)) + 3


def sinks(n: int, width: int) -> np.ndarray:
    """Some tokens a thousand times longer in one dimension, another dimension far from zero in all."""
    x = decaying(n, width)
    x[:: n // 9, 7] += 1000
    x[:, 11] += 300
    return x


@pytest.mark.parametrize("make", [decaying, sinks])
@pytest.mark.parametrize(("n", "width"), [(40, 12), (30, 300), (700, 900), (1200, 640)])
def test_the_first_two_are_scikit_learns(make: object, n: int, width: int) -> None:
    x = make(n, width)  # type: ignore[operator]
    reference = PCA(2, svd_solver="full")
    there = reference.fit_transform(x)
    found = principal(x, 2)
    assert found.points.dtype == np.float32 and found.points.shape == (n, 2)
    np.testing.assert_allclose(found.shares, reference.explained_variance_ratio_, rtol=1e-4)
    for k in range(2):
        sign = np.sign(np.vdot(found.points[:, k], there[:, k]))
        np.testing.assert_allclose(sign * found.points[:, k], there[:, k], atol=2e-4 * np.abs(there).max())


@pytest.mark.parametrize("make", [decaying, sinks])
def test_fifty_hold_what_the_best_fifty_hold(make: object) -> None:
    x = make(900, 700)  # type: ignore[operator]
    best = PCA(50, svd_solver="full").fit(x).explained_variance_ratio_
    found = principal(x, 50)
    assert found.points.shape == (900, 50)
    assert found.shares.sum() == pytest.approx(best.sum(), rel=1e-3)
    np.testing.assert_allclose(found.points.var(axis=0), found.shares * x.var(axis=0).sum(), rtol=1e-3)


def test_a_flat_spectrum_is_solved_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(1).normal(size=(800, 700))
    asked: list[int] = []
    whole = under_test._whole
    monkeypatch.setattr(under_test, "_whole", lambda x, count: asked.append(count) or whole(x, count))
    monkeypatch.setattr(under_test, "STEPS", 2)
    found, there = principal(x, 2), PCA(2, svd_solver="full").fit_transform(x)
    assert asked == [2]
    np.testing.assert_allclose(np.abs(found.points), np.abs(there), atol=1e-2)


def test_steep_spectra_are_not_solved_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "_whole", lambda *_: pytest.fail("the slow way"))
    for most in (2, 50):
        principal(decaying(900, 700), most)


def test_signs_are_settled_and_repeat() -> None:
    x = decaying(700, 600)
    one, other = principal(x, 3), principal(x.copy(), 3)
    assert np.array_equal(one.points, other.points)
    furthest = one.points[np.abs(one.points).argmax(axis=0), np.arange(3)]
    assert (furthest > 0).all()


def test_degenerate_sets() -> None:
    same = principal(np.full((9, 5), 3.0), 2)
    assert not same.points.any() and not same.shares.any()
    assert principal(np.ones((1, 5)), 2).points.shape == (1, 1)
    assert principal(np.random.default_rng(0).normal(size=(3, 50)), 10).points.shape == (3, 3)
    for bad in (np.array([[1.0, np.nan]]), np.ones(4), np.ones((0, 4))):
        with pytest.raises(ValueError, match="states must"):
            principal(bad, 2)
