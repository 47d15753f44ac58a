"""Calibration, grouped means and grouped correlations against their definitions and other libraries."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from probes.bootstrap import drop, grouped_means, mean_score
from probes.calibration import calibration
from probes.correlation import grouped_correlation

RNG = np.random.default_rng(0)


def test_the_error_is_that_of_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    metrics = pytest.importorskip("torchmetrics.functional.classification")
    p = RNG.random(500)
    right = RNG.random(500) < p**2
    # torchmetrics' binary form: the probability of the class 1 is the confidence itself.
    theirs = metrics.binary_calibration_error(
        torch.tensor(p), torch.tensor(right.astype(int)), n_bins=15, norm="l1"
    )
    assert calibration(p, right, resamples=10).error == pytest.approx(float(theirs), abs=1e-6)


def test_the_error_of_a_worked_example() -> None:
    found = calibration([0.95, 0.95, 0.55, 0.55, np.nan], [1, 0, 1, 1, 1], bins=10, resamples=100)
    assert found.error == pytest.approx((2 * abs(0.5 - 0.95) + 2 * abs(1 - 0.55)) / 4)
    assert found.count.tolist() == [0] * 5 + [2] + [0] * 3 + [2] and found.accuracy[9] == 0.5
    assert found.low <= found.error <= found.high
    # The upper end of a bin belongs to it.
    assert calibration([0.1], [1], bins=10).count.argmax() == 0
    assert np.isnan(calibration([], []).error)


def test_grouped_means_are_those_of_drawing_groups_by_hand() -> None:
    groups = np.repeat(np.arange(30), RNG.integers(1, 5, 30))
    values = RNG.random((2, len(groups)))
    values[0, np.argmax(groups == np.flatnonzero(np.bincount(groups) > 1)[0])] = np.nan
    here, there = grouped_means(values, groups, resamples=1500, seed=1)
    assert here.value == pytest.approx(np.nanmean(values[0])) and here.images == here.n == 30
    rng = np.random.default_rng(5)
    by_hand = []
    for _ in range(1500):
        chosen = np.concatenate([np.flatnonzero(groups == g) for g in rng.integers(0, 30, 30)])
        by_hand.append(np.nanmean(values[0, chosen]))
    assert np.quantile(by_hand, [0.025, 0.975]) == pytest.approx([here.low, here.high], abs=0.015)
    difference, low, high = drop(here, there)
    assert difference == pytest.approx(here.value - there.value) and low < difference < high
    alone = grouped_means(values[1:], np.arange(len(groups)), resamples=300, seed=2)[0]
    single = mean_score(values[1], resamples=300, seed=2)
    assert (alone.low, alone.high) == pytest.approx((single.low, single.high))
    assert np.isnan(grouped_means(values[:, :1], groups[:1])[0].low)


@pytest.mark.parametrize("ranked", [False, True])
def test_grouped_correlations_are_scipys_and_their_intervals_those_by_hand(ranked: bool) -> None:
    groups = np.repeat(np.arange(40), 3)
    x = np.repeat(RNG.normal(size=40), 3) + RNG.normal(size=120)
    y = (x + RNG.normal(size=120) > 0).astype(float)
    found = grouped_correlation(x, y, groups, ranked=ranked, resamples=1000, seed=3)
    theirs = stats.spearmanr(x, y).statistic if ranked else stats.pointbiserialr(y, x).statistic
    assert found.value == pytest.approx(theirs) and found.n == 120 and np.isnan(found.p)
    rng, by_hand = np.random.default_rng(4), []
    for _ in range(400):
        chosen = np.concatenate([3 * g + np.arange(3) for g in rng.integers(0, 40, 40)])
        way = stats.spearmanr if ranked else stats.pearsonr
        by_hand.append(way(x[chosen], y[chosen]).statistic)
    assert np.quantile(by_hand, [0.025, 0.975]) == pytest.approx([found.low, found.high], abs=0.04)


def test_what_cannot_be_correlated() -> None:
    assert np.isnan(grouped_correlation([1, 1, 1], [0, 1, 0], [0, 1, 2], ranked=False).value)
    few = grouped_correlation([1, 2, 3, 4], [1, 2, 3, 5], [0, 0, 1, 1], ranked=True)
    assert few.value == 1 and np.isnan(few.low)
    with pytest.raises(ValueError, match="one length"):
        grouped_correlation([1, 2], [1], [1, 2], ranked=False)
