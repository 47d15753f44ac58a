"""Averages under boxes against pixels."""

from __future__ import annotations

import numpy as np
import pytest

from probes.boxes import box_means


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
