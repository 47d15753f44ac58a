"""Ridge readers of every penalty against scikit-learn, their controls and what they hold."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from probes.ridge import LabelMoments, Moments, RidgePath
from tests.probes.blobs import blobs


def test_ridge_path_equals_scikit_learn_for_every_penalty() -> None:
    x, y = blobs(500, 4, 12, 1.5, 0)
    xt, _ = blobs(200, 4, 12, 1.5, 1)
    penalties = (1e-4, 1e-2, 1.0, 30.0)
    moments = LabelMoments(12, 4)
    for part in np.array_split(np.arange(500), 7):
        moments.update(x[part], y[part])
    path = RidgePath(moments, penalties)
    predicted = path.classes(xt)
    scaler = StandardScaler().fit(x)
    for i, penalty in enumerate(penalties):
        reference = Ridge(alpha=penalty * 500).fit(scaler.transform(x), np.eye(4)[y])
        np.testing.assert_allclose(path.weights[i], reference.coef_.T, atol=1e-8)
        np.testing.assert_array_equal(predicted[i], reference.predict(scaler.transform(xt)).argmax(axis=1))
        np.testing.assert_array_equal(path.classes(xt, i), predicted[i])


def test_ridge_leaves_out_unlabelled_rows_and_dead_features() -> None:
    x, y = blobs(300, 3, 5, 1.0, 0)
    dead = np.concatenate([x, np.full((300, 1), 1234.5)], axis=1)
    a, b = LabelMoments(5, 3), LabelMoments(6, 3)
    a.update(x[:200], y[:200])
    b.update(dead, np.where(np.arange(300) < 200, y, -1))
    assert a.n == b.n == 200
    first, second = RidgePath(a), RidgePath(b)
    np.testing.assert_allclose(first.weights, second.weights[:, :5], atol=1e-8)
    assert np.abs(second.weights[:, 5]).max() == 0
    with pytest.raises(ValueError):
        a.update(np.full((2, 5), np.nan), [0, 1])
    with pytest.raises(ValueError):
        a.update(x, y + 3)
    with pytest.raises(ValueError):
        RidgePath(LabelMoments(5, 3))


def test_shuffled_ridge_reads_nothing() -> None:
    x, y = blobs(2000, 4, 12, 0.5, 0)
    xt, yt = blobs(500, 4, 12, 0.5, 1)
    moments = LabelMoments(12, 4, seed=3)
    for part in np.array_split(np.arange(2000), 4):
        moments.update(x[part], y[part])
    assert (RidgePath(moments).classes(xt, 0) == yt).mean() > 0.97
    control = RidgePath(moments).control()
    assert np.abs(control.weights).max() < 0.25 * np.abs(RidgePath(moments).weights).max()


def test_sums_that_were_put_down_go_on_as_if_they_had_not_been() -> None:
    rng = np.random.default_rng(0)
    batches = [(rng.normal(size=(20, 5)), rng.integers(-1, 3, 20)) for _ in range(4)]
    whole, first, second = LabelMoments(5, 3, seed=1), LabelMoments(5, 3, seed=1), LabelMoments(5, 3, seed=1)
    for batch in batches:
        whole.update(*batch)
    for batch in batches[:2]:
        first.update(*batch)
    second.restore(first.held())
    for batch in batches[2:]:
        second.update(*batch)
    for name, value in whole.held().items():
        np.testing.assert_array_equal(second.held()[name], value)


def test_the_control_is_of_other_images_also_where_a_batch_is_one_image() -> None:
    """An image's tokens share their level: permuted among themselves they would still give it away."""
    rng = np.random.default_rng(0)
    level = rng.normal(size=(300, 1, 1))
    x = level + 0.1 * rng.normal(size=(300, 20, 4))
    y = level + 0.1 * rng.normal(size=(300, 20, 1))
    one, many = Moments(4, 1), Moments(4, 1)
    for image in range(300):
        one.update(x[image], y[image])
    many.update(x.reshape(-1, 4), y.reshape(-1, 1))
    test = level[:50] + 0.1 * rng.normal(size=(50, 20, 4))
    for moments in (one, many):
        control = RidgePath(moments, (1e-3,)).control().values(test.reshape(-1, 4), 0)
        assert control.std() < 0.15, "it reads next to nothing"
        assert RidgePath(moments, (1e-3,)).values(test.reshape(-1, 4), 0).std() > 0.8


def test_the_pool_is_a_fair_sample_of_all_rows() -> None:
    moments = Moments(1, 1)
    for start in range(0, 40_000, 1000):
        rows = np.arange(start, start + 1000, dtype=float)[:, None]
        moments.update(rows, rows)
    assert len(moments.pool) == 4096
    assert moments.pool.mean() == pytest.approx(20_000, rel=0.05)
    assert np.histogram(moments.pool, bins=4)[0] == pytest.approx(1024, rel=0.12)


def test_a_constant_features_rounding_is_no_signal() -> None:
    # As in test_linear.py: constant but for the last digits of float32, which would give every label away.
    y = np.arange(120) % 3
    leak = (1000.0 + 1e-4 * y)[:, None]
    assert (leak.astype(np.float32) != 1000.0).any()
    moments = LabelMoments(1, 3)
    moments.update(leak, y)
    assert np.abs(RidgePath(moments).weights).max() == 0


def test_numbers_read_by_ridge_are_scikit_learns() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(300, 6)) * [1, 10, 0.1, 1, 1, 1] + 5
    y = x @ rng.normal(size=(6, 3)) + rng.normal(size=(300, 3))
    moments = Moments(6, 3)
    gaps = y.copy()
    gaps[:20] = np.nan
    for part in np.array_split(np.arange(300), 7):
        moments.update(x[part], gaps[part])
    path = RidgePath(moments, (1.0, 1e-3))
    scaler = StandardScaler().fit(x[20:])
    for k, penalty in enumerate((1.0, 1e-3)):
        reference = Ridge(alpha=penalty * 280).fit(scaler.transform(x[20:]), y[20:])
        np.testing.assert_allclose(path.values(x, k), reference.predict(scaler.transform(x)), rtol=1e-8)
    shuffled = RidgePath(moments, (1e-3,)).control()
    assert r2_score(y[20:], shuffled.values(x[20:], 0)) < 0.2 < r2_score(y[20:], path.values(x[20:], 1))
