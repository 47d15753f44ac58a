"""Classes read from single tokens, scored as segmentations are: hits and totals, accuracy, mean IoU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.bootstrap import Score, interval, resampled_sums, share

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def tallies(truth: ArrayLike, predicted: ArrayLike, classes: int) -> Ints:
    """Tokens of each class in each image: truth and predicted (N, tokens) -> (N, 3, classes).

    They are counted where both say so, where the truth does, and where the prediction does: all that IoU and
    accuracy need, in memory that grows with the classes, not with their square. Tokens whose truth is -1 are
    not counted.

    Raises:
        ValueError: when shapes disagree, or a class is outside 0..classes-1.
    """
    t, p = np.asarray(truth, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if t.shape != p.shape or t.ndim != 2:
        raise ValueError(f"truth {t.shape} and prediction {p.shape} must both have shape (images, tokens)")
    known = t >= 0
    if known.any() and (max(t.max(), p[known].max()) >= classes or p[known].min() < 0):
        raise ValueError(f"a class in truth or prediction is outside 0..{classes - 1}")
    first = np.broadcast_to(np.arange(len(t))[:, None] * classes, t.shape)

    def counted(labels: Ints, where: NDArray[np.bool_]) -> Ints:
        cells = np.bincount((first + labels)[where], minlength=len(t) * classes)
        return cells.reshape(len(t), classes)

    return np.stack([counted(t, known & (t == p)), counted(t, known), counted(p, known)], axis=1)


def intersection_over_union(counts: ArrayLike) -> Floats:
    """IoU of each class, TP / (TP + FP + FN): (..., 3, C) -> (..., C); NaN for a class that never occurs."""
    hit, true, said = np.moveaxis(np.asarray(counts, dtype=np.float64), -2, 0)
    union = true + said - hit
    return np.divide(hit, union, out=np.full(hit.shape, np.nan), where=union > 0)


def mean_iou(counts: ArrayLike) -> Floats:
    """Mean IoU over the classes that occur in the truth: (..., 3, C) -> (...); NaN without any.

    A class that is only ever predicted lowers the IoU of those it is taken for and has none of its own to be
    averaged: which classes count must not depend on the reader.
    """
    c = np.asarray(counts, dtype=np.float64)
    known = c[..., 1, :] > 0
    n = known.sum(axis=-1)
    total = np.asarray(np.where(known, intersection_over_union(c), 0.0).sum(axis=-1))
    return np.divide(total, n, out=np.full(total.shape, np.nan), where=n > 0)


def without_each(per_image: ArrayLike) -> Floats:
    """Mean IoU when one image is left out: tallies (N, 3, C) -> (N,).

    The classes stay those of the whole truth; one that no other image has or predicts keeps its IoU.
    """
    c = np.asarray(per_image, dtype=np.float64)
    whole = c.sum(axis=0)
    rest = intersection_over_union(whole - c)
    known = whole[1] > 0
    kept = np.where(np.isfinite(rest), rest, intersection_over_union(whole))
    return np.asarray(kept[:, known].mean(axis=1))


def accuracy(counts: ArrayLike) -> Floats:
    """Share of tokens whose class was said: (..., 3, C) -> (...); NaN without tokens."""
    hit, true, _ = np.moveaxis(np.asarray(counts, dtype=np.float64), -2, 0)
    hits, total = hit.sum(axis=-1), true.sum(axis=-1)
    return np.divide(hits, total, out=np.full(hits.shape, np.nan), where=total > 0)


@dataclass(frozen=True)
class Segmentation:
    """Reading of classes from single tokens: accuracy over tokens, mean IoU, IoU of each class (classes,)."""

    accuracy: Score
    miou: Score
    iou: Floats


def segmentation(per_image: ArrayLike, *, resamples: int = 1000, seed: int = 0) -> Segmentation:
    """Score `tallies` of test images (N, 3, C); intersections and unions are pooled over images.

    Intervals draw images again. Accuracy is pooled anew in each resample, those without a labelled token
    left out; where all or none are right it is Wilson's interval (`bootstrap.share`). Mean IoU is not: a
    resample lacks many of the rare classes, so that its mean is over other classes and beside the value. Its
    samples are the jackknife's linear approximation to the bootstrap (Efron and Tibshirani 1993, section
    11.5), with the classes of the whole truth throughout:

        m + sum_i (k_i - 1) (m - m_(i))

    for k_i draws of image i, the value m, and m_(i) of `without_each`. Their mean is m, the interval holds
    it, and two stages are compared in pairs as ever. To take this for mean IoU, and that a class which one
    image alone has adds nothing to the width, is our choice. Bounds are cut at 0 and 1.

    Images without a labelled token count for nothing.

    Raises:
        ValueError: when no image has a labelled token.
    """
    c = np.asarray(per_image, dtype=np.float64)
    images, n = len(c), int((c[:, 1].sum(axis=1) > 0).sum())
    if not n:
        raise ValueError("no test image has a labelled token")
    whole = c.sum(axis=0)
    tokens = accuracy(resampled_sums(c.sum(axis=2), resamples=resamples, seed=seed)[..., None])
    miou = float(mean_iou(whole))
    pull = miou - without_each(c)
    linear = miou + resampled_sums(pull, resamples=resamples, seed=seed) - pull.sum()

    def score(value: float, samples: Floats) -> Score:
        low, high = np.clip(interval(samples[np.isfinite(samples)]), 0.0, 1.0) if n > 1 else (np.nan, np.nan)
        return Score(value, float(low), float(high), n, images, samples)

    return Segmentation(
        share(score(float(accuracy(whole)), tokens)),
        score(miou, linear),
        intersection_over_union(whole),
    )
