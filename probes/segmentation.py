"""Classes read from single tokens, scored as segmentations are: confusion matrices, accuracy, mean IoU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.bootstrap import Score, interval, resampled_sums

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def confusions(truth: ArrayLike, predicted: ArrayLike, classes: int) -> Ints:
    """Confusion matrix of each image: truth and predicted (N, tokens) -> (N, classes, classes), rows = truth.

    Tokens whose truth is -1 are not counted.

    Raises:
        ValueError: when shapes disagree, or a class is outside 0..classes-1.
    """
    t, p = np.asarray(truth, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if t.shape != p.shape or t.ndim != 2:
        raise ValueError(f"truth {t.shape} and prediction {p.shape} must both have shape (images, tokens)")
    image = np.broadcast_to(np.arange(len(t))[:, None], t.shape)
    known = t >= 0
    if known.any() and (max(t.max(), p[known].max()) >= classes or p[known].min() < 0):
        raise ValueError(f"a class in truth or prediction is outside 0..{classes - 1}")
    cell = (image[known] * classes + t[known]) * classes + p[known]
    return np.bincount(cell, minlength=len(t) * classes * classes).reshape(len(t), classes, classes)


def intersection_over_union(confusion: ArrayLike) -> Floats:
    """IoU of each class, TP / (TP + FP + FN): (..., C, C) -> (..., C); NaN for a class that never occurs."""
    c = np.asarray(confusion, dtype=np.float64)
    hit = np.diagonal(c, axis1=-2, axis2=-1)
    union = c.sum(axis=-1) + c.sum(axis=-2) - hit
    return np.divide(hit, union, out=np.full(hit.shape, np.nan), where=union > 0)


def mean_iou(confusion: ArrayLike) -> Floats:
    """Mean IoU over the classes that occur in truth or prediction: (..., C, C) -> (...)."""
    iou = intersection_over_union(confusion)
    known = np.isfinite(iou)
    n = known.sum(axis=-1)
    total = np.asarray(np.where(known, iou, 0.0).sum(axis=-1))
    return np.divide(total, n, out=np.full(total.shape, np.nan), where=n > 0)


@dataclass(frozen=True)
class Segmentation:
    """Reading of classes from single tokens: accuracy over tokens, mean IoU, IoU of each class (classes,)."""

    accuracy: Score
    miou: Score
    iou: Floats


def segmentation(per_image: ArrayLike, *, resamples: int = 1000, seed: int = 0) -> Segmentation:
    """Score confusion matrices of test images (N, C, C); intersections and unions are pooled over images.

    The interval draws images again and pools anew. Images without a labelled token count for nothing.

    Raises:
        ValueError: when no image has a labelled token.
    """
    c = np.asarray(per_image, dtype=np.float64)
    images, n = len(c), int((c.sum(axis=(1, 2)) > 0).sum())
    if not n:
        raise ValueError("no test image has a labelled token")
    pooled = resampled_sums(c, resamples=resamples, seed=seed)
    whole = c.sum(axis=0)

    def score(of: Callable[[Floats], Floats]) -> Score:
        samples = of(pooled)
        bounds = interval(samples) if n > 1 else (np.nan, np.nan)
        return Score(float(of(whole)), *bounds, n, images, samples)

    return Segmentation(score(_accuracy), score(mean_iou), intersection_over_union(whole))


def _accuracy(confusion: Floats) -> Floats:
    """Share of tokens on the diagonal: (..., C, C) -> (...); NaN without tokens."""
    total = confusion.sum(axis=(-2, -1))
    hits = np.asarray(np.trace(confusion, axis1=-2, axis2=-1))
    return np.divide(hits, total, out=np.full(hits.shape, np.nan), where=total > 0)
