"""Scores of segmentation against scikit-learn, and intervals over images."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, jaccard_score

from probes.bootstrap import drop, mean_score
from probes.segmentation import intersection_over_union, mean_iou, segmentation, tallies, without_each


def test_segmentation_scores_equal_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(-1, 4, (20, 36))
    guess = np.where(rng.random((20, 36)) < 0.6, truth, rng.integers(0, 4, (20, 36))).clip(0)
    per_image = tallies(truth, guess, 6)
    known = truth >= 0
    matrix = confusion_matrix(truth[known], guess[known])
    np.testing.assert_array_equal(
        per_image.sum(0)[:, :4], [np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)]
    )
    found = segmentation(per_image, resamples=500)
    assert found.accuracy.value == pytest.approx((truth == guess)[known].mean())
    assert found.miou.value == pytest.approx(jaccard_score(truth[known], guess[known], average="macro"))
    np.testing.assert_allclose(found.iou[:4], jaccard_score(truth[known], guess[known], average=None))
    assert np.isnan(found.iou[4:]).all()
    assert found.miou.low < found.miou.value < found.miou.high
    assert found.accuracy.n == 20


@pytest.mark.parametrize(
    ("truth", "guess"), [([[0, 2]], [[0, 1]]), ([[0, 1]], [[0, 2]]), ([[0, 1]], [[0, -1]])]
)
def test_a_class_outside_the_matrix_is_refused(truth: list[list[int]], guess: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="outside 0..1"):
        tallies(truth, guess, 2)


def test_mean_iou_worked_example() -> None:
    # class 0: 3 hits, 1 missed, 2 wrongly taken -> 3/6; class 1: 4 hits, 2 missed, 1 wrong -> 4/7
    counts = [[3, 4, 0], [4, 6, 0], [5, 5, 0]]
    np.testing.assert_allclose(intersection_over_union(counts)[:2], [3 / 6, 4 / 7])
    assert mean_iou(counts) == pytest.approx((3 / 6 + 4 / 7) / 2)
    assert np.isnan(mean_iou(np.zeros((3, 3))))


RARE = 80
SHARES = (1 / np.arange(1, RARE + 1)) / (1 / np.arange(1, RARE + 1)).sum()
SKILL = np.random.default_rng(99).uniform(0.2, 0.9, RARE)


def scenes(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction of images of four regions, of classes of Zipf's frequencies."""
    rng = np.random.default_rng(seed)
    regions = rng.choice(RARE, size=(count, 4), p=SHARES)
    right = rng.beta(SKILL[regions] * 4, (1 - SKILL[regions]) * 4).repeat(16, axis=1)
    truth = regions.repeat(16, axis=1)
    said = np.where(rng.random(truth.shape) < right, truth, rng.choice(RARE, size=truth.shape, p=SHARES))
    return truth, said


@pytest.mark.parametrize("images", [60, 200])
def test_rare_classes_leave_the_mean_iou_in_its_interval(images: int) -> None:
    population = intersection_over_union(tallies(*scenes(5, 10_000), RARE).sum(axis=0))
    held = covered = 0
    for seed in range(40):
        counts = tallies(*scenes(1000 + seed, images), RARE)
        found = segmentation(counts, resamples=500).miou
        expected = population[counts[:, 1].sum(axis=0) > 0].mean()
        held += found.low < found.value < found.high
        covered += found.low < expected < found.high
        assert found.samples.mean() == pytest.approx(found.value, abs=0.01)
    assert held == 40
    assert covered >= 0.9 * 40


def test_the_classes_are_those_of_the_truth_with_any_image_left_out() -> None:
    truth, said = scenes(0, 30)
    counts = tallies(truth, said, RARE)
    names = np.unique(truth)
    assert set(np.unique(said)) - set(names)  # Some classes are only predicted.
    brute = jaccard_score(truth.ravel(), said.ravel(), labels=names, average="macro")
    assert segmentation(counts, resamples=50).miou.value == pytest.approx(brute)
    whole = jaccard_score(truth.ravel(), said.ravel(), labels=names, average=None)
    for i, found in enumerate(without_each(counts)[:5]):
        t, s = np.delete(truth, i, axis=0).ravel(), np.delete(said, i, axis=0).ravel()
        there = np.isin(names, np.union1d(t, s))
        of = jaccard_score(t, s, labels=names, average=None, zero_division=0)
        assert found == pytest.approx(np.where(there, of, whole).mean())


def test_a_paired_change_of_mean_iou_holds_its_value_and_is_sharper() -> None:
    truth, said = scenes(1, 60)
    better = np.where(np.random.default_rng(2).random(said.shape) < 0.1, truth, said)
    a, b = (segmentation(tallies(truth, each, RARE)).miou for each in (better, said))
    value, low, high = drop(a, b)
    assert value == pytest.approx(a.value - b.value) and 0 < low < value < high
    assert high - low < 0.6 * (a.high - a.low)
    assert drop(a, a) == (0.0, 0.0, 0.0)


def test_images_not_tokens_are_resampled() -> None:
    # 30 images of 50 tokens that are right or wrong together: the interval is that of 30 draws, not of 1,500.
    right = np.repeat(np.random.default_rng(0).random((30, 1)) < 0.5, 50, axis=1)
    by_image = segmentation(tallies(np.zeros((30, 50)), ~right, 2), resamples=4000).accuracy
    by_token = mean_score(right.ravel(), resamples=4000)
    assert by_image.n == 30 and by_image.value == pytest.approx(by_token.value)
    wider = (by_image.high - by_image.low) / (by_token.high - by_token.low)
    assert wider == pytest.approx(np.sqrt(50), rel=0.15)


def test_one_image_has_no_interval() -> None:
    lone = segmentation(tallies([[0, 1], [-1, -1]], [[0, 0], [0, 0]], 2), resamples=50)
    assert lone.accuracy.n == 1 and lone.accuracy.value == 0.5 and np.isnan(lone.accuracy.low)


def test_all_right_has_wilsons_interval_over_images() -> None:
    found = segmentation(tallies(np.zeros((20, 9)), np.zeros((20, 9)), 2), resamples=50).accuracy
    assert (found.value, found.high) == (1.0, 1.0) and found.low == pytest.approx(0.8389, abs=1e-4)
