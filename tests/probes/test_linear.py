"""Logistic readers against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probes.linear import logistic
from tests.probes.blobs import Split, blobs


def test_logistic_equals_scikit_learn() -> None:
    train, val, test = (blobs(n, 4, 10, 1.6, s) for n, s in ((400, 0), (200, 1), (300, 2)))
    grid = (0.001, 0.03, 1.0)
    scores, predictions = [], []
    for c in grid:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=2000, tol=1e-7)).fit(*train)
        scores.append(model.score(*val))
        predictions.append(model.predict(test[0]))
    best = int(np.argmax(scores))
    found = logistic(train, val, test, inverse_penalties=grid)
    assert found.inverse_penalty == grid[best]
    assert found.accuracy.value == pytest.approx((predictions[best] == test[1]).mean(), abs=0.007)
    assert found.accuracy.low < found.accuracy.value < found.accuracy.high
    most = np.bincount(train[1]).argmax()
    assert found.majority == pytest.approx((test[1] == most).mean())


def test_shuffled_labels_leave_chance() -> None:
    train, val, test = (blobs(n, 4, 10, 1.0, s) for n, s in ((600, 0), (200, 1), (400, 2)))
    found = logistic(train, val, test, shuffles=20)
    assert found.accuracy.value > 0.85
    assert found.control.value == pytest.approx(0.25, abs=0.05)


def test_the_test_split_does_not_choose_the_penalty() -> None:
    train, val, test = (blobs(n, 3, 6, 2.0, s) for n, s in ((100, 0), (100, 1), (100, 2)))
    first = logistic(train, val, test)
    second = logistic(train, val, (test[0][::-1], test[1]))
    assert first.inverse_penalty == second.inverse_penalty


def test_scale_and_dead_features_do_not_matter() -> None:
    train, val, test = (blobs(n, 3, 6, 1.0, s) for n, s in ((200, 0), (100, 1), (100, 2)))

    def changed(split: Split) -> Split:
        x = split[0] * np.geomspace(1e-3, 1e3, 6) - 50.0
        return np.concatenate([x, np.full((len(x), 1), 3.0)], axis=1), split[1]

    plain, scaled = logistic(train, val, test), logistic(changed(train), changed(val), changed(test))
    assert scaled.accuracy.value == pytest.approx(plain.accuracy.value, abs=0.011)


def test_a_constant_features_rounding_is_no_signal() -> None:
    # Constant but for the last digits of float32, and those would give every label away.
    y = np.arange(120) % 3
    leak = (1000.0 + 1e-4 * y)[:, None]
    assert (leak.astype(np.float32) != 1000.0).any()
    found = logistic((leak, y), (leak, y), (leak, y), shuffles=2)
    assert found.accuracy.value == pytest.approx(1 / 3)


@pytest.mark.parametrize("case", ["one class", "nan", "mismatch", "empty"])
def test_bad_data_is_named(case: str) -> None:
    x, y = blobs(50, 3, 4, 1.0, 0)
    bad = {
        "one class": (x, np.zeros(50)),
        "nan": (np.where(np.arange(50)[:, None] == 7, np.nan, x), y),
        "mismatch": (x, y[:-1]),
        "empty": (x[:0], y[:0]),
    }[case]
    with pytest.raises(ValueError, match="train"):
        logistic(bad, (x, y), (x, y))
