"""Percentile intervals by resampling images; Wilson's where a share is all or nothing.

Tokens of one image are not independent, so the image is what is drawn again, with all its tokens. Every
statistic here is a function of sums over images, so a resample is a row of draw counts and a matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """One measured number with its 95 % interval and its resamples.

    n: how many images it rests on: those that have a value.
    images: how many were drawn from; one without a value takes its place in every resample all the same.
    samples: float64 (resamples,), drawn with the same counts for every stage measured on the same images, so
        `drop` can compare two stages in pairs, whichever images have a value at each.
    """

    value: float
    low: float
    high: float
    n: int
    images: int
    samples: Floats
    counted: bool = field(default=False, kw_only=True)
    """Whether it is a share of right answers."""


def drop(here: Score, reference: Score) -> tuple[float, float, float]:
    """The paired difference, here - reference, with its 95 % interval: (value, low, high).

    A resample that draws no image with a value for one of the two is left out. No interval where one of the
    two has none. Of two shares whose answers are right and wrong at the same images every resample is 0; the
    interval is then Wilson's bound of the share of images that could differ all the same, to either side.

    Raises:
        ValueError: when the two were not drawn from the same number of images equally often.
    """
    if here.images != reference.images or here.samples.shape != reference.samples.shape:
        raise ValueError("a paired difference needs two scores of the same images and resamples")
    value, samples = here.value - reference.value, here.samples - reference.samples
    if not (np.isfinite(here.low) and np.isfinite(reference.low)):
        return value, float("nan"), float("nan")
    samples = samples[np.isfinite(samples)]
    if here is not reference and here.counted and reference.counted and not samples.any():
        most = wilson(0.0, min(here.n, reference.n))[1]
        return value, -most, most
    return (value, *interval(samples))


def mean_score(values: ArrayLike, *, resamples: int = 1000, seed: int = 0) -> Score:
    """Mean of per-image values (images,) with its interval; images whose value is NaN are left out.

    They are drawn all the same, so that stages which lack other images stay paired. A resample that draws
    none with a value has no mean and is left out, as if it were drawn again: the interval is that of the
    resamples that have one. With 8 of 100 images it is 1 in 3,000 that has none, with 2 of 100 it is 1 in 8.
    Fewer than two values have no interval.
    """
    return mean_scores(np.asarray(values, dtype=np.float64)[None], resamples=resamples, seed=seed)[0]


def mean_scores(values: ArrayLike, *, resamples: int = 1000, seed: int = 0) -> list[Score]:
    """`mean_score` of each row of (rows, images), from the same draws, which are made once."""
    v = np.asarray(values, dtype=np.float64)
    known = np.isfinite(v)
    n = known.sum(axis=1)
    samples = np.full((len(v), resamples), np.nan)
    if (n > 1).any():
        parts = [resampled_mean(v, counts) for counts in _drawn(v.shape[1], resamples, seed)]
        samples[n > 1] = np.concatenate(parts, axis=1)[n > 1]
    total = np.where(known, v, 0.0).sum(axis=1)
    means = np.divide(total, n, out=np.full(len(v), np.nan), where=n > 0)
    return [
        Score(float(mean), *interval(drawn[np.isfinite(drawn)]), int(count), v.shape[1], drawn)
        for mean, drawn, count in zip(means, samples, n, strict=True)
    ]


def wilson(share: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's (1927) score interval of a share 0..1 of n independent trials: (low, high).

    Raises:
        ValueError: without a trial, or when the share is outside 0..1.
    """
    if n < 1 or not 0 <= share <= 1:
        raise ValueError(f"a share of {n} trials cannot be {share}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def share(score: Score) -> Score:
    """A score that is a share of right answers, with Wilson's interval where all or none are right.

    Every resample is then the same, so the bootstrap's interval has no width, though 20 right of 20 leave a
    share of 0.84 possible. The trials are the images, also where a share counts their tokens: tokens of one
    image are not independent (our choice). Any other interval, and the samples, stay as they are.
    """
    if score.value not in (0.0, 1.0) or not score.low == score.high == score.value:
        return replace(score, counted=True)
    low, high = wilson(score.value, score.n)
    return replace(score, low=low, high=high, counted=True)


CELLS = 2**19
"""Draw counts that are held at once: 4 MB."""


def draws(images: int, resamples: int, seed: int) -> Floats:
    """How often each image is drawn: (resamples, images), every row sums to `images`.

    The same arguments give the same draws, so two stages measured on the same images can be compared in
    pairs: subtract their resampled statistics row by row.
    """
    return np.concatenate(list(_drawn(images, resamples, seed)))


def resampled_sums(values: ArrayLike, *, resamples: int, seed: int) -> Floats:
    """Sums over images of whatever they hold, under each of `draws`: (images, ...) -> (resamples, ...)."""
    v = np.asarray(values, dtype=np.float64)
    return np.concatenate([np.tensordot(counts, v, axes=1) for counts in _drawn(len(v), resamples, seed)])


def _drawn(images: int, resamples: int, seed: int) -> Iterator[Floats]:
    """The rows of `draws`, some at a time."""
    if images < 1 or resamples < 1:
        raise ValueError(f"need at least one image and one resample, not {images} and {resamples}")
    rows = max(1, CELLS // images)
    if resamples <= rows:
        yield _few(images, resamples, seed)
        return
    rng, shares = np.random.default_rng(seed), np.full(images, 1.0 / images)
    for first in range(0, resamples, rows):
        yield rng.multinomial(images, shares, size=min(rows, resamples - first)).astype(np.float64)


@lru_cache(maxsize=4)
def _few(images: int, resamples: int, seed: int) -> Floats:
    """All rows at once, kept and read only: every stage and measure of a study asks for the same ones."""
    rng = np.random.default_rng(seed)
    found = rng.multinomial(images, np.full(images, 1.0 / images), size=resamples).astype(np.float64)
    found.setflags(write=False)
    return found


def interval(samples: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """The central `level` of resampled statistics: the percentile interval of Efron and Tibshirani (1993).

    NaN, NaN without samples, and where one of them is not finite: leaving it out would make the interval
    narrower than what is known.
    """
    values = np.asarray(samples, dtype=np.float64).ravel()
    if not len(values) or not np.isfinite(values).all():
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampled_mean(values: ArrayLike, counts: Floats) -> Floats:
    """Mean of per-image values under each resample: (..., images) -> (..., resamples).

    Counts are (resamples, images). Images whose value is NaN are left out of both sums.
    """
    v = np.asarray(values, dtype=np.float64)
    known = np.isfinite(v)
    total = np.where(known, v, 0.0) @ counts.T
    n = known.astype(np.float64) @ counts.T
    return np.divide(total, n, out=np.full_like(total, np.nan), where=n > 0)


def grouped_means(
    values: ArrayLike, groups: ArrayLike, *, resamples: int = 1000, seed: int = 0
) -> list[Score]:
    """Mean of the items of each row (rows, items), where items of one group are drawn again together.

    Every item counts alike, so a group with more of them counts for more. Items that are NaN are left out;
    fewer than two groups with an item have no interval, and resamples without an item are left out as in
    `mean_score`. `Score.images` counts groups. Rows of one call, and
    of calls with the same groups and seed, are drawn in pairs.
    """
    v = np.asarray(values, dtype=np.float64)
    names, owner = np.unique(np.asarray(groups), return_inverse=True)
    known = np.isfinite(v)
    members = (owner[:, None] == np.arange(len(names))).astype(np.float64)
    sums, sizes = np.where(known, v, 0.0) @ members, known.astype(np.float64) @ members
    samples = np.full((len(v), resamples), np.nan)
    held = (sizes > 0).sum(axis=1)
    if (held > 1).any():
        totals = resampled_sums(
            np.stack([sums.T, sizes.T]).transpose(1, 0, 2), resamples=resamples, seed=seed
        )
        drawn = np.divide(
            totals[:, 0], totals[:, 1], out=np.full(totals[:, 0].shape, np.nan), where=totals[:, 1] > 0
        )
        samples[held > 1] = drawn.T[held > 1]
    n = sizes.sum(axis=1)
    means = np.divide(sums.sum(axis=1), n, out=np.full(len(v), np.nan), where=n > 0)
    return [
        Score(float(mean), *interval(row[np.isfinite(row)]), int(count), len(names), row)
        for mean, row, count in zip(means, samples, held, strict=True)
    ]
