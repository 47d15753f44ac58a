"""How far a model's confidence is from how often it is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.bootstrap import interval, resampled_sums

Floats = NDArray[np.float64]
BINS = 15
"""Of one width, as Guo et al. (2017) take them."""


@dataclass(frozen=True)
class Calibration:
    """The expected calibration error, 0..1 (lower is better), with its 95 % interval; NaN where unknown.

    With few items in a bin the error is above that of the model itself: chance alone moves a bin's accuracy
    away from its confidence. confidence, accuracy, count: of each bin, NaN and 0 where it is empty.
    """

    error: float
    low: float
    high: float
    confidence: Floats
    accuracy: Floats
    count: NDArray[np.int64]


def calibration(
    confidence: ArrayLike,
    right: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    bins: int = BINS,
    resamples: int = 1000,
    seed: int = 0,
) -> Calibration:
    """Expected calibration error (Guo et al. 2017, On Calibration of Modern Neural Networks, eq. 3).

    The mean over items of |accuracy - confidence| of their bin; bins are (k / bins, (k + 1) / bins].

    Args:
        confidence: (items,) 0..1. Items that are NaN here or in `right` are left out.
        right: (items,) 0 or 1.
        groups: (items,) what is drawn again together for the interval: the image; each item alone without.
        bins: how many.
        resamples: bootstrap resamples behind the interval.
        seed: of the resamples.
    """
    p, y = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    owner = np.arange(len(p)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    known = np.isfinite(p) & np.isfinite(y)
    p, y, owner = p[known], y[known], owner[known]
    if not len(p):
        empty = np.full(bins, np.nan)
        return Calibration(np.nan, np.nan, np.nan, empty, empty, np.zeros(bins, dtype=np.int64))
    place = np.clip(np.ceil(p * bins).astype(int) - 1, 0, bins - 1)
    images, owner = np.unique(owner, return_inverse=True)
    sums = np.zeros((len(images), 3, bins))
    for row, values in enumerate((p, y, np.ones_like(p))):
        np.add.at(sums[:, row], (owner, place), values)
    said, found, count = sums.sum(axis=0)
    low, high = np.nan, np.nan
    if len(images) > 1:
        low, high = interval(_error(resampled_sums(sums, resamples=resamples, seed=seed)))
    with np.errstate(invalid="ignore"):
        return Calibration(
            float(_error(sums.sum(axis=0)[None])[0]),
            low,
            high,
            said / count,
            found / count,
            count.astype(np.int64),
        )


def _error(sums: Floats) -> Floats:
    """Of sums (k, 3, bins) of confidence, right answers and items: (k,)."""
    return np.asarray(np.abs(sums[:, 1] - sums[:, 0]).sum(axis=1) / sums[:, 2].sum(axis=1))
