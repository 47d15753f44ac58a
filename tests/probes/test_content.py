"""Averages under boxes against pixels, R² against scikit-learn, and a picture read back."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from probes.boxes import box_means, split
from probes.content import picture, r_squared, reading, residuals
from probes.ridge import Moments, RidgePath


def grid_boxes(rows: int, cols: int, size: float) -> np.ndarray:
    return np.array(
        [[c * size, r * size, (c + 1) * size, (r + 1) * size] for r in range(rows) for c in range(cols)]
    )


def test_averages_under_whole_pixels_are_means_of_slices() -> None:
    maps = np.random.default_rng(0).random((2, 8, 12, 3))
    found = box_means(maps, grid_boxes(2, 3, 4))
    for token, (row, col) in enumerate(np.ndindex(2, 3)):
        part = maps[:, row * 4 : row * 4 + 4, col * 4 : col * 4 + 4]
        np.testing.assert_allclose(found[:, token], part.mean((1, 2)))


def test_a_box_that_cuts_through_pixels_weighs_them_by_their_parts() -> None:
    maps = np.array([[[1.0, 3.0], [5.0, 7.0]]])
    found = box_means(maps, [[0.5, 0.0, 1.25, 1.0], [-4, -4, 1, 1], [5, 5, 9, 9]])
    assert found[0, 0, 0] == pytest.approx((0.5 * 1 + 0.25 * 3) / 0.75)
    assert found[0, 1, 0] == 1.0, "what lies outside the map does not count"
    assert np.isnan(found[0, 2, 0])
    for wrong in (np.zeros((2, 2)), np.zeros((0, 2, 2))):
        with pytest.raises(ValueError, match="maps must have shape"):
            box_means(wrong, [[0, 0, 1, 1]])


def test_cells_put_back_in_place_are_the_picture() -> None:
    image = np.random.default_rng(1).random((1, 12, 20, 3))
    boxes = grid_boxes(3, 5, 4)
    cells = box_means(image, boxes, side=2)
    small = image.reshape(1, 6, 2, 10, 2, 3).mean((2, 4))
    np.testing.assert_allclose(picture(cells[0], 3, 5, side=2), small[0])
    np.testing.assert_allclose(split(boxes, 2)[3], [2, 2, 4, 4])
    with pytest.raises(ValueError, match="do not fit"):
        picture(cells[0], 5, 5, side=2)


def test_r_squared_is_scikit_learns() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(size=(7, 30, 4)) * [1, 5, 0.1, 2] + [0, 100, 3, -1]
    read = truth + rng.normal(size=truth.shape)
    sums = residuals(truth, read)
    flat, guess = truth.reshape(-1, 4), read.reshape(-1, 4)
    np.testing.assert_allclose(r_squared(sums.sum(0)), r2_score(flat, guess, multioutput="raw_values"))
    found = reading(sums)
    assert found.r2.value == pytest.approx(r2_score(flat, guess))
    assert found.r2.low < found.r2.value < found.r2.high and found.r2.n == 7


def test_tokens_without_a_target_and_constant_outputs_are_left_out() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(4, 10, 2))
    truth[..., 1] = 0.3
    truth[0] = np.nan
    read = np.nan_to_num(truth) + 0.1
    found = reading(residuals(truth, read))
    kept = truth[1:, :, 0].ravel()
    assert found.r2.value == pytest.approx(r2_score(kept, kept + 0.1)) and np.isnan(found.outputs[1])
    assert (found.r2.n, found.r2.images) == (3, 4)
    with pytest.raises(ValueError, match="no test image"):
        reading(residuals(np.full((2, 3, 1), np.nan), np.zeros((2, 3, 1))))


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
