"""Percentile intervals by resampling images.

Tokens of one image are not independent, so the image is what is drawn again, with all its tokens. Every
statistic here is a function of sums over images, so a resample is a row of draw counts and a matrix product.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def draws(images: int, resamples: int, seed: int) -> Floats:
    """How often each image is drawn: (resamples, images), every row sums to `images`.

    The same arguments give the same draws, so two stages measured on the same images can be compared in
    pairs: subtract their resampled statistics row by row.
    """
    if images < 1 or resamples < 1:
        raise ValueError(f"need at least one image and one resample, not {images} and {resamples}")
    rng = np.random.default_rng(seed)
    return rng.multinomial(images, np.full(images, 1.0 / images), size=resamples).astype(np.float64)


def interval(samples: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """The central `level` of resampled statistics (percentile interval); NaN samples are left out."""
    values = np.asarray(samples, dtype=np.float64).ravel()
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampled_mean(values: ArrayLike, counts: Floats) -> Floats:
    """Mean of per-image values under each resample: (images,) with (resamples, images) -> (resamples,).

    Images whose value is NaN are left out of both sums.
    """
    v = np.asarray(values, dtype=np.float64)
    known = np.isfinite(v)
    total = counts[:, known] @ v[known]
    n = counts[:, known].sum(axis=1)
    return np.divide(total, n, out=np.full_like(total, np.nan), where=n > 0)
