"""Coefficients against scipy, exact orders against brute force, and what few points do not allow."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from probes.correlation import pearson, spearman


@pytest.mark.parametrize("n", [5, 6, 30])
def test_values_are_those_of_scipy(n: int) -> None:
    rng = np.random.default_rng(n)
    x = rng.normal(size=n)
    y = np.round(x + rng.normal(size=n), 0)  # With ties.
    assert pearson(x, y).value == pytest.approx(stats.pearsonr(x, y).statistic)
    assert spearman(x, y).value == pytest.approx(stats.spearmanr(x, y).statistic)


def test_p_of_few_points_counts_every_order() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=6), rng.normal(size=6)
    here = abs(np.corrcoef(x, y)[0, 1])
    far = [abs(np.corrcoef(x, order)[0, 1]) >= here - 1e-12 for order in permutations(y)]
    assert pearson(x, y).p == pytest.approx(np.mean(far))


def test_p_of_many_points_is_near_that_of_the_t_test() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=40)
    y = 0.35 * x + rng.normal(size=40)
    assert pearson(x, y, permutations=20_000).p == pytest.approx(stats.pearsonr(x, y).pvalue, abs=0.01)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng, inside = np.random.default_rng(3), 0
    for trial in range(200):
        x = rng.normal(size=40)
        y = 0.6 * x + 0.8 * rng.normal(size=40)  # r = 0.6
        found = pearson(x, y, resamples=400, permutations=1, seed=trial)
        inside += found.low <= 0.6 <= found.high
    assert 0.87 <= inside / 200 <= 0.99


def test_few_constant_and_missing_points() -> None:
    four = pearson([1, 2, 3, 4], [4, 3, 2, 1])
    assert four.value == pytest.approx(-1) and math.isnan(four.low) and math.isnan(four.p) and four.n == 4
    assert math.isnan(pearson([1], [2]).value) and pearson([], []).n == 0
    assert math.isnan(pearson(range(6), [1.0] * 6).value)
    gap = pearson([1, 2, 3, 4, 5, 6, np.nan], [2, 4, 7, 8, 9, 13, 1])
    assert gap.n == 6 and gap.value == pytest.approx(stats.pearsonr(range(6), [2, 4, 7, 8, 9, 13]).statistic)
    assert gap.low > 0.9 and gap.p == pytest.approx(2 / math.factorial(6), abs=1e-9)
    with pytest.raises(ValueError, match="one length"):
        pearson([1, 2], [1, 2, 3])
