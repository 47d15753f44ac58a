"""Recovery, crossings and windows against worked examples and a bootstrap by loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from probes.attribution.recovery import (
    crossing,
    mean_crossing,
    mean_recovery,
    recovery,
    relative_change,
    usual_width,
    windows,
)
from probes.bootstrap import draws


def test_recovery_of_a_worked_example() -> None:
    # log p: clean -0.5, degraded -2.5; with the states back -1.0: 1.5 of 2 nats are undone.
    assert recovery(-2.5, -0.5, -1.0) == pytest.approx(0.75)
    # The other way round the same states, from the degraded run, take 0.5 of 2 nats.
    assert recovery(-0.5, -2.5, -1.0) == pytest.approx(0.25)


def test_recovery_is_zero_one_and_unbounded() -> None:
    found = recovery(-3.0, -1.0, [-3.0, -1.0, -4.0, 0.0])
    assert found == pytest.approx([0.0, 1.0, -0.5, 1.5])


def test_recovery_of_no_damage_is_unknown() -> None:
    assert np.isnan(recovery([-1.0, -1.0], [-1.0, -2.0], [-1.0, -1.5])).tolist() == [True, False]


def test_mean_recovery_is_the_quotient_of_means_with_the_bootstrap_of_a_loop() -> None:
    rng = np.random.default_rng(3)
    base, other = -4 + rng.normal(0, 0.5, 40), -1 + rng.normal(0, 0.5, 40)
    patched = base + np.array([[1.0], [0.4], [0.0]]) * (other - base)
    patched[1] += rng.normal(0, 0.3, 40)
    scores = mean_recovery(base, other, patched, resamples=200, seed=5)
    assert scores[0].value == pytest.approx(1.0) and scores[2].value == pytest.approx(0.0)
    assert scores[1].value == pytest.approx((patched[1] - base).mean() / (other - base).mean())
    drawn = []
    for counts in draws(40, 200, 5):
        places = np.repeat(np.arange(40), counts.astype(int))
        drawn.append((patched[1] - base)[places].mean() / (other - base)[places].mean())
    assert (scores[1].low, scores[1].high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
    assert scores[1].n == 40


def test_mean_recovery_leaves_out_images_that_are_not_known() -> None:
    base, other = np.array([-4.0, -4.0, np.nan, -2.0]), np.array([-1.0, -2.0, -1.0, -1.0])
    patched = np.array([[-1.0, np.nan, -1.0, -1.5]])
    (score,) = mean_recovery(base, other, patched, resamples=100)
    assert score.n == 2 and score.value == pytest.approx((3 + 0.5) / (3 + 1))


def test_damage_that_goes_both_ways_has_nothing_to_recover() -> None:
    base, other = np.zeros(20), np.tile([1.0, -1.01], 10)
    (score,) = mean_recovery(base, other, 0.5 * other[None], resamples=200)
    assert math.isnan(score.value) and math.isnan(score.low) and score.n == 20


def test_mean_recovery_refuses_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        mean_recovery(np.zeros(3), np.zeros(3), np.zeros((2, 4)))


@pytest.mark.parametrize(
    ("curve", "place"),
    [
        ([1.0, 0.8, 0.2, 0.0], 1.5),
        ([1.0, 1.0, 0.5, 0.0], 2.0),
        ([0.3, 0.0], 0.0),
        ([1.0, 0.9], math.nan),
        ([1.0, math.nan, 0.0], math.nan),
    ],
)
def test_crossing(curve: list[float], place: float) -> None:
    assert crossing(curve) == pytest.approx(place, nan_ok=True)


def test_mean_crossing_has_the_interval_of_the_resampled_curves() -> None:
    rng = np.random.default_rng(0)
    base, other = np.full(30, -3.0), np.full(30, -1.0)
    shares = np.array([[1.0], [0.75], [0.25], [0.0]]) + rng.normal(0, 0.1, (4, 30))
    scores = mean_recovery(base, other, base + shares * 2, resamples=300, seed=1)
    value, low, high = mean_crossing(scores)
    assert value == pytest.approx(crossing([s.value for s in scores]))
    each = [crossing(curve) for curve in np.stack([s.samples for s in scores], axis=1)]
    assert (low, high) == pytest.approx(tuple(np.quantile(each, [0.025, 0.975])))
    assert low < 1.5 < high


def test_relative_change_is_that_of_probabilities() -> None:
    before, after = np.log([0.8, 0.5, 0.5]), np.log([0.2, 0.5, 0.6])
    assert relative_change(before, after) == pytest.approx([-0.75, 0.0, 0.2])


def test_windows_lie_around_their_layer_and_are_cut_at_the_ends() -> None:
    assert [list(w) for w in windows(5, 3)] == [[1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [4, 5]]
    assert [list(w) for w in windows(3, 1)] == [[1], [2], [3]]
    assert [list(w) for w in windows(4, 2)] == [[1, 2], [2, 3], [3, 4], [4]]
    assert [list(w) for w in windows(2, 9)] == [[1, 2], [1, 2]]
    with pytest.raises(ValueError, match="one at least"):
        windows(3, 0)


@pytest.mark.parametrize(("layers", "width"), [(48, 9), (28, 5), (8, 3), (32, 7), (2, 3), (80, 17)])
def test_the_usual_width_is_odd_and_about_a_fifth(layers: int, width: int) -> None:
    assert usual_width(layers) == width
