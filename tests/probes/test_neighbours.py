"""Nearest neighbours against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from probes import neighbours
from probes.neighbours import nearest


def rings(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Directions in classes that no line separates, with a large shared offset."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    angle = 2 * np.pi * (rng.integers(0, 4, n) * 3 + y) / 12 + 0.12 * rng.normal(size=n)
    x = np.stack([np.cos(angle), np.sin(angle), 0.1 * rng.normal(size=n)], axis=1)
    return x * rng.uniform(0.5, 5, (n, 1)) + 0.0, y


@pytest.mark.parametrize("k", [1, 5, 20])
def test_votes_are_scikit_learns(k: int) -> None:
    train, validation, test = rings(300, 0), rings(100, 1), rings(200, 2)
    mean = train[0].mean(0)
    reference = KNeighborsClassifier(k, metric="cosine", algorithm="brute").fit(train[0] - mean, train[1])
    found = nearest(train, validation, test, counts=(k,))
    assert found.accuracy.value == pytest.approx(reference.score(test[0] - mean, test[1]), abs=0.006)
    assert found.accuracy.low < found.accuracy.value < found.accuracy.high


def test_validation_chooses_how_many() -> None:
    train, validation, test = rings(300, 0), rings(100, 1), rings(200, 2)
    scores = {k: nearest(train, test, validation, counts=(k,)).accuracy.value for k in (1, 5, 150)}
    best = max(scores, key=lambda k: (scores[k], -k))
    assert nearest(train, validation, test, counts=(150, 1, 5)).neighbours == best != 150


def test_a_shared_direction_hides_nothing() -> None:
    train, validation, test = rings(300, 0), rings(100, 1), rings(200, 2)
    plain = nearest(train, validation, test).accuracy.value
    moved = nearest(*[(x + 1000.0, y) for x, y in (train, validation, test)]).accuracy.value
    assert moved == pytest.approx(plain, abs=0.02) and plain > 0.8


@pytest.mark.parametrize("cells", [1, 700, neighbours.CELLS])
def test_ties_go_to_the_first_whatever_is_held_at_once(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "CELLS", cells)
    monkeypatch.setattr(neighbours, "ROWS", 7)
    rng = np.random.default_rng(0)
    cosine = rng.integers(0, 6, (50, 40)).astype(np.float32)
    np.testing.assert_array_equal(
        neighbours._best(cosine, 9), np.argsort(-cosine, axis=1, kind="stable")[:, :9]
    )
    portions = nearest(rings(300, 0), rings(100, 1), rings(200, 2))
    monkeypatch.undo()
    whole = nearest(rings(300, 0), rings(100, 1), rings(200, 2))
    assert portions.neighbours == whole.neighbours
    assert portions.accuracy.value == pytest.approx(whole.accuracy.value, abs=0.006)


def test_bad_splits_are_refused() -> None:
    good = rings(10, 0)
    for bad in ((good[0][:5], good[1]), (good[0], good[1] - 5), (np.full_like(good[0], np.nan), good[1])):
        with pytest.raises(ValueError, match="belong together|NaN"):
            nearest(good, bad, good)
    with pytest.raises(ValueError, match="none of"):
        nearest(good, good, good, counts=(11,))
