"""R² against scikit-learn, and a picture read back."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import r2_score

from probes.boxes import box_means, split
from probes.content import picture, r_squared, reading, residuals


def test_cells_put_back_in_place_are_the_picture() -> None:
    image = np.random.default_rng(1).random((1, 12, 20, 3))
    boxes = np.array([[4 * c, 4 * r, 4 * c + 4, 4 * r + 4] for r, c in np.ndindex(3, 5)])
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
