"""The solver against scikit-learn, and its basis against the features it stands for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from probes import softmax
from probes.rotation import Principal, Standard

Data = tuple[np.ndarray, np.ndarray]


def states(n: int, width: int, classes: int, seed: int = 0) -> Data:
    """Correlated features, most of their variance in a few directions, as hidden states have them."""
    fixed, rng = np.random.default_rng(5), np.random.default_rng(seed)
    mixing = fixed.normal(size=(width, width)) * np.geomspace(1, 0.02, width)[:, None]
    centres = fixed.normal(size=(classes, width))
    y = rng.integers(0, classes, n)
    return (centres[y] + 2 * rng.normal(size=(n, width))) @ mixing + 3.0, y


def objective(x: np.ndarray, y: np.ndarray, weights: np.ndarray, intercepts: np.ndarray, c: float) -> float:
    """What is minimised, in nats an image."""
    losses = -log_softmax(x @ weights + intercepts, axis=1)[np.arange(len(y)), y]
    share = 1.0 if weights.shape[1] == 2 else 0.5
    return float(losses.mean() + share * (weights**2).sum() / (c * len(y)))


def reference(x: np.ndarray, y: np.ndarray, c: float) -> tuple[np.ndarray, np.ndarray]:
    model = LogisticRegression(C=c, max_iter=5000, tol=1e-6).fit(x, y)
    if len(model.coef_) == 1:  # two classes: one weight vector, the difference of ours
        return np.stack([-model.coef_[0], model.coef_[0]], 1) / 2, np.array([-1, 1]) * model.intercept_ / 2
    return model.coef_.T, model.intercept_ - model.intercept_.mean()


@pytest.mark.parametrize(("n", "width", "classes"), [(120, 200, 5), (200, 30, 4), (150, 40, 2), (90, 300, 2)])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_the_minimum_is_scikit_learns(n: int, width: int, classes: int, kind: torch.dtype) -> None:
    x, y = states(n, width, classes)
    z = StandardScaler().fit_transform(x)
    xt = StandardScaler().fit(x).transform(states(400, width, classes, seed=1)[0])
    basis = Principal.of(torch.from_numpy(z)).to(kind)
    found = None
    for c in (0.001, 0.1, 1.0):
        strength = torch.tensor([c])
        found = softmax.fit(basis.rotated[None], torch.from_numpy(y)[None], classes, strength, found)
        assert found.shape == (1, basis.rotated.shape[1] + 1, 1, classes)
        weights, intercepts = basis.back(found[0, :-1, 0]).double().numpy(), found[0, -1, 0].double().numpy()
        best, constant = reference(z, y, c)
        least = objective(z, y, best, constant, c)
        assert objective(z, y, weights, intercepts, c) == pytest.approx(least, abs=2e-6)
        said = softmax.predict(basis.back(found[0, :-1, 0])[:, None], found[0, -1], torch.tensor(xt).to(kind))
        theirs = (xt @ best + constant).argmax(axis=1)
        assert (said[0].numpy() == theirs).mean() > 0.99


def test_problems_together_are_problems_alone() -> None:
    rng = np.random.default_rng(2)
    matrices = [
        Principal.of(Standard.of(x)(x)).rotated
        for x in map(
            torch.from_numpy, (states(80, 20, 3)[0], rng.normal(size=(80, 33)), states(80, 150, 3, seed=4)[0])
        )
    ]
    labels = torch.from_numpy(np.stack([states(80, 20, 3)[1], rng.integers(0, 3, 80)]))
    strengths = torch.tensor([0.01, 1.0, 0.2])
    most = max(x.shape[1] for x in matrices)
    stacked = torch.stack([torch.nn.functional.pad(x, (0, most - x.shape[1])) for x in matrices])
    together = softmax.fit(stacked, labels, 3, strengths)
    for i, x in enumerate(matrices):
        for k in range(2):
            alone = softmax.fit(x[None], labels[k : k + 1], 3, strengths[i : i + 1])
            own = together[i, : x.shape[1], k]
            torch.testing.assert_close(own, alone[0, :-1, 0], atol=1e-6, rtol=0)
        assert not together[i, x.shape[1] : -1].any(), "a column of zeros has no weight"


@pytest.mark.parametrize(("n", "width"), [(30, 100), (100, 30), (50, 50)])
def test_the_basis_spans_the_features(n: int, width: int) -> None:
    x, _ = states(n, width, 3)
    x[:, 4] = 7.25
    raw = torch.from_numpy(x)
    z = Standard.of(raw)(raw)
    np.testing.assert_allclose(z[:, 5], StandardScaler().fit_transform(x)[:, 5])
    assert not z[:, 4].any()
    basis = Principal.of(z)
    assert basis.rotated.shape[1] <= min(n - 1, width)
    v = basis.back(torch.eye(basis.rotated.shape[1], dtype=z.dtype))
    torch.testing.assert_close(v.T @ v, torch.eye(v.shape[1], dtype=z.dtype), atol=1e-8, rtol=0)
    torch.testing.assert_close(basis.rotated, z @ v, atol=1e-8, rtol=0)
    torch.testing.assert_close(basis.rotated @ v.T, z, atol=1e-8, rtol=0)


def test_classes_that_lie_apart_do_not_run_away() -> None:
    x, y = torch.tensor([[-1.0], [-1.0], [1.0], [1.0]], dtype=torch.float64), torch.tensor([[0, 0, 1, 1]])
    found = softmax.fit(x[None], y, 2, torch.tensor([100.0]))[0, :, 0].numpy()
    best, constant = reference(x.numpy(), y[0].numpy(), 100.0)
    np.testing.assert_allclose(found, [*best, constant], atol=0.02 * best.max())
