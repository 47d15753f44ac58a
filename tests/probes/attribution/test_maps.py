"""Agreement, pointing and regions against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from skimage.segmentation import slic

from probes.attribution.agreement import agreement, between_all
from probes.attribution.pointing import chance, energy, hits, pointing, random_map, shares
from probes.attribution.regions import cells, given, onto_cells, superpixels


def brute_tau_b(x: np.ndarray, y: np.ndarray) -> float:
    pairs = [
        (np.sign(x[i] - x[j]), np.sign(y[i] - y[j])) for i, j in itertools.combinations(range(len(x)), 2)
    ]
    same = sum(a * b for a, b in pairs)
    return same / np.sqrt(sum(a != 0 for a, _ in pairs) * sum(b != 0 for _, b in pairs))


def test_agreement_is_that_of_pairs_and_of_ranks() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, 40).astype(float), rng.integers(0, 6, 40).astype(float)
    found = agreement(x, y)
    assert found.kendall == pytest.approx(brute_tau_b(x, y))
    assert found.spearman == pytest.approx(pd.Series(x).rank().corr(pd.Series(y).rank()))
    assert agreement(x, -x).kendall == pytest.approx(-1)
    assert agreement(x, np.exp(x)).spearman == pytest.approx(1)


def test_a_flat_map_agrees_with_nothing_and_nan_is_left_out() -> None:
    assert np.isnan(agreement(np.ones(5), np.arange(5)).spearman)
    assert agreement([1, 2, 3, np.nan], [1, 2, 3, 0]).cells == 3
    square = between_all([np.arange(5), np.arange(5)[::-1]])
    assert square[0][1].kendall == square[1][0].kendall == pytest.approx(-1)
    with pytest.raises(ValueError, match="one length"):
        agreement([1, 2], [1, 2, 3])


def grid(rows: int, cols: int, side: float) -> np.ndarray:
    return np.array(
        [[c * side, r * side, (c + 1) * side, (r + 1) * side] for r in range(rows) for c in range(cols)]
    )


def test_a_hit_lies_within_the_tolerance_of_the_mask() -> None:
    boxes, mask = grid(4, 4, 8), np.zeros((32, 32), bool)
    mask[2:6, 9:15] = True
    found = hits(boxes, mask, tolerance=4)
    ys, xs = np.nonzero(mask)
    for k, (x0, y0, x1, y1) in enumerate(boxes):
        x, y = int((x0 + x1) / 2), int((y0 + y1) / 2)
        assert found[k] == (np.sqrt((xs - x) ** 2 + (ys - y) ** 2).min() <= 4)
    assert not hits(boxes, np.zeros((32, 32), bool)).any()
    assert hits(boxes, mask, tolerance=0).sum() == 1


def test_pointing_is_where_the_largest_value_is() -> None:
    hit = np.array([True, False, False, True])
    assert pointing([0.9, 0.1, 0.2, 0.3], hit) == 1
    assert pointing([0.1, 0.9, 0.2, 0.3], hit) == 0
    assert pointing([0.9, 0.9, 0.2, 0.3], hit) == 0.5
    assert np.isnan(pointing(np.zeros(4), hit))
    assert chance(hit) == 0.5
    scored = [pointing(random_map(4, seed=seed), hit) for seed in range(2000)]
    assert np.mean(scored) == pytest.approx(0.5, abs=0.04)


def test_energy_is_the_positive_share_in_the_mask() -> None:
    boxes, mask = grid(2, 2, 4), np.zeros((8, 8), bool)
    mask[:, :2] = True
    covered = shares(boxes, mask)
    assert covered.tolist() == [0.5, 0, 0.5, 0]
    assert energy([2, 1, 1, -5], covered) == pytest.approx(1.5 / 4)
    assert np.isnan(energy([-1, -1, 0, 0], covered))


def test_every_pixel_belongs_to_the_cell_over_it_or_to_the_nearest() -> None:
    boxes = grid(2, 3, 4) + np.array([2, 2, 2, 2])
    found = cells(boxes, 12, 16)
    assert found[2:10, 2:14].tolist() == np.kron([[0, 1, 2], [3, 4, 5]], np.ones((4, 4), int)).tolist()
    assert found[0, 0] == 0 and found[11, 15] == 5 and found[0, 15] == 2
    assert set(found.ravel()) == set(range(6))


def test_superpixels_and_masks_are_numbered_without_gaps() -> None:
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    found = superpixels(image, 16)
    assert set(found.ravel()) == set(range(found.max() + 1))
    theirs = slic(image, n_segments=16, compactness=10.0, start_label=0, channel_axis=-1)
    assert len(np.unique(np.stack([found.ravel(), theirs.ravel()]), axis=1).T) == found.max() + 1
    assert given([[7, 7], [3, 9]]).tolist() == [[1, 1], [0, 2]]


def test_numbers_of_regions_become_means_over_cells() -> None:
    regions = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])
    assert onto_cells(regions, [1.0, 5.0], np.array([[0, 0, 3, 2], [3, 0, 4, 2]])).tolist() == pytest.approx(
        [(2 * 1 + 5) / 3, 5]
    )
