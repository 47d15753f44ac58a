"""Scores of segmentation against scikit-learn, and intervals over images."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, jaccard_score

from probes.bootstrap import mean_score
from probes.segmentation import intersection_over_union, mean_iou, segmentation, tallies


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
