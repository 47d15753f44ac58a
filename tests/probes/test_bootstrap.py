"""Intervals against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from probes import bootstrap
from probes.bootstrap import (
    draws,
    drop,
    grouped_means,
    interval,
    mean_score,
    mean_scores,
    resampled_mean,
    resampled_sums,
    share,
    wilson,
)


def test_bootstrap_interval_has_the_width_theory_gives() -> None:
    rng = np.random.default_rng(0)
    correct = rng.random(400) < 0.7
    found = mean_score(correct, resamples=4000, seed=1)
    p = correct.mean()
    assert found.high - found.low == pytest.approx(3.92 * np.sqrt(p * (1 - p) / 400), rel=0.1)
    assert found.n == 400


def test_a_paired_drop_is_sharper_than_two_intervals() -> None:
    rng = np.random.default_rng(0)
    before = rng.random(300) < 0.7
    after = before & (rng.random(300) < 0.95)
    a, b = mean_score(after), mean_score(before)
    value, low, high = drop(a, b)
    assert value == pytest.approx(after.mean() - before.mean())
    assert low < value < high < 0
    assert a.high > b.low
    assert drop(b, b) == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError):
        drop(a, mean_score(before[:10]))


def test_pairs_stay_pairs_where_each_stage_lacks_another_image() -> None:
    values = 10.0 * np.random.default_rng(0).normal(size=200)
    here, there = values + 1.0, values.copy()
    here[3], there[150] = np.nan, np.nan
    a, b = mean_score(here), mean_score(there)
    assert a.n == b.n == 199 and a.images == b.images == 200
    _, low, high = drop(a, b)
    # The images differ by 10, the pairs by nothing but the two that lack one: far sharper than either mean.
    assert low < 1.0 < high and high - low < 0.2 * (a.high - a.low)


def test_one_value_has_no_interval_and_none_has_nothing() -> None:
    one = mean_score([np.nan, 0.25, np.nan], resamples=50)
    assert one.value == 0.25 and one.n == 1 and np.isnan([one.low, one.high]).all()
    assert np.isnan(drop(one, one)[1:]).all() and drop(one, one)[0] == 0.0
    assert mean_score([], resamples=5).n == 0


def test_an_interval_with_holes_is_none() -> None:
    assert np.isnan(interval([0.1, 0.2, np.nan])).all() and np.isnan(interval([])).all()
    assert np.isnan(interval([0.1, np.inf])).all()
    assert interval([0.1, 0.1]) == pytest.approx((0.1, 0.1))


def test_few_values_among_many_images_have_the_interval_of_those_few() -> None:
    values = np.full(100, np.nan)
    values[:8] = np.arange(8.0)
    found = mean_score(values, resamples=20_000, seed=0)
    alone = mean_score(values[:8], resamples=20_000, seed=0)
    assert np.isnan(found.samples).any()  # Some draw none of the eight.
    assert found.n == 8 and found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(alone.high - alone.low, rel=0.1)
    # Two stages that lack different images: over the resamples in which both have one.
    other = np.roll(values, 50)
    value, low, high = drop(found, mean_score(other, resamples=20_000, seed=0))
    assert value == 0.0 and low < 0 < high
    items = grouped_means(np.repeat(values, 2)[None], np.repeat(np.arange(100), 2), resamples=20_000)[0]
    assert (items.low, items.high) == pytest.approx((found.low, found.high))


@pytest.mark.parametrize(("right", "n"), [(0, 20), (20, 20), (13, 20), (1, 7)])
def test_wilson_is_scipys(right: int, n: int) -> None:
    expected = binomtest(right, n).proportion_ci(method="wilson")
    assert wilson(right / n, n) == pytest.approx((expected.low, expected.high))


def test_all_right_is_not_certain() -> None:
    all_right = share(mean_score(np.ones(20)))
    assert (all_right.low, all_right.high) == pytest.approx((0.8389, 1.0), abs=1e-4)
    assert share(mean_score(np.zeros(20))).high == pytest.approx(0.1611, abs=1e-4)
    some = mean_score(np.arange(20) < 15)
    assert (share(some).low, share(some).high) == (some.low, some.high)
    assert np.isnan(share(mean_score([1.0])).low)
    with pytest.raises(ValueError, match="cannot be"):
        wilson(1.5, 3)


def test_two_shares_right_at_the_same_images_may_differ_all_the_same() -> None:
    right = np.arange(40) < 37
    here, there = share(mean_score(right)), share(mean_score(right))
    assert drop(here, there) == pytest.approx((0.0, -0.0876, 0.0876), abs=1e-4)
    assert drop(here, here) == (0.0, 0.0, 0.0), "a stage differs from itself by nothing"
    same = mean_score(right * 1.7)
    assert drop(same, mean_score(right * 1.7)) == (0.0, 0.0, 0.0), (
        "equal numbers that are no shares are equal"
    )
    other = share(mean_score(np.arange(40) < 36))
    low, high = drop(other, there)[1:]
    assert low == pytest.approx(-0.075) and high == 0.0


def test_many_scores_are_those_of_each_and_of_draws_in_any_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(3, 40))
    values[1, 5], values[2, 1:] = np.nan, np.nan
    counts = draws(40, 30, seed=2)
    found = mean_scores(values, resamples=30, seed=2)
    monkeypatch.setattr(bootstrap, "CELLS", 100)
    for row, score in zip(values, found, strict=True):
        np.testing.assert_allclose(mean_score(row, resamples=30, seed=2).samples, score.samples)
    np.testing.assert_allclose(found[0].samples, counts @ values[0] / 40)
    np.testing.assert_array_equal(draws(40, 30, seed=2), counts)
    cubes = np.random.default_rng(1).normal(size=(40, 2, 3))
    sums = resampled_sums(cubes, resamples=30, seed=2)
    np.testing.assert_allclose(sums, np.einsum("ri,iab->rab", counts, cubes))


def test_draws_are_seeded_resamples() -> None:
    counts = draws(10, 50, seed=4)
    assert (counts.sum(axis=1) == 10).all()
    np.testing.assert_array_equal(counts, draws(10, 50, seed=4))
    values = np.array([1.0, np.nan] * 5)
    means = resampled_mean(values, counts)
    assert np.nanmin(means) == np.nanmax(means) == 1.0
    assert interval([np.nan, np.nan]) != interval([1.0])
    assert mean_score([1.0, np.nan, 3.0], resamples=50).value == 2.0
    assert mean_score([np.nan], resamples=50).n == 0
    with pytest.raises(ValueError):
        draws(0, 5, 0)
