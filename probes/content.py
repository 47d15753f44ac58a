"""What a linear reader still sees in single tokens: depth, colour, pixels.

The reader is `ridge`; its targets are averages under each token's box (`boxes.box_means`). What it reads of
pixels, put back in place, is a picture: what is linearly there at this layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.bootstrap import Score, interval, resampled_sums

Floats = NDArray[np.float64]


def residuals(truth: ArrayLike, read: ArrayLike) -> Floats:
    """Sums of each image that R² is made of, so that images can be pooled and drawn again.

    Args:
        truth: (N, tokens, outputs), NaN where a token has no target.
        read: the same shape, what a reader made of the tokens.

    Returns:
        (N, outputs, 4): tokens, sum of truth, sum of its squares, sum of squared errors.

    Raises:
        ValueError: when shapes disagree.
    """
    t, r = np.asarray(truth, dtype=np.float64), np.asarray(read, dtype=np.float64)
    if t.shape != r.shape or t.ndim != 3:
        raise ValueError(f"truth {t.shape} and reading {r.shape} must both be (images, tokens, outputs)")
    known = ~np.isnan(t)
    filled = np.where(known, t, 0.0)
    errors = np.where(known, (t - r) ** 2, 0.0)
    return np.stack([known.sum(1), filled.sum(1), (filled**2).sum(1), errors.sum(1)], axis=-1).astype(float)


def r_squared(sums: ArrayLike) -> Floats:
    """R² of each output, 1 - squared error / squared deviation from the mean: (..., 4) -> (...).

    1 is perfect, 0 what the mean alone reaches, below 0 worse than that; NaN where the truth is constant.
    """
    n, total, squares, errors = np.moveaxis(np.asarray(sums, dtype=np.float64), -1, 0)
    mean = np.divide(total, n, out=np.zeros_like(total), where=n > 0)
    spread = squares - n * mean**2
    varies = spread > 1e-12 * np.maximum(squares, 1e-300)
    return 1.0 - np.divide(errors, spread, out=np.full_like(errors, np.nan), where=varies)


@dataclass(frozen=True)
class Reading:
    """How well numbers are read from tokens.

    r2: the mean of the outputs' R² with its interval, tokens pooled over images. outputs: R² of each.
    """

    r2: Score
    outputs: Floats


def reading(per_image: ArrayLike, *, resamples: int = 1000, seed: int = 0) -> Reading:
    """Score `residuals` of test images (N, outputs, 4); the interval draws images again and pools anew.

    A resample that draws no image with a target is left out.

    The mean over outputs weighs each the same, as scikit-learn's "uniform_average" does; outputs that are
    constant in the test images have no R² and are left out.

    Raises:
        ValueError: when no image has a token with a target.
    """
    sums = np.asarray(per_image, dtype=np.float64)
    images, n = len(sums), int((sums[..., 0].sum(axis=1) > 0).sum())
    if not n:
        raise ValueError("no test image has a token with a target")
    pooled = resampled_sums(sums, resamples=resamples, seed=seed)
    outputs = r_squared(sums.sum(axis=0))
    samples = mean_known(r_squared(pooled))
    drawn = samples[pooled[..., 0].sum(axis=1) > 0]
    bounds = interval(drawn) if n > 1 else (np.nan, np.nan)
    return Reading(Score(float(mean_known(outputs)), *bounds, n, images, samples), outputs)


def mean_known(values: Floats) -> Floats:
    """Mean over the last axis of what is known, NaN where nothing is."""
    known = np.isfinite(values)
    n = known.sum(axis=-1)
    total = np.asarray(np.where(known, values, 0.0).sum(axis=-1))
    return np.divide(total, n, out=np.full(total.shape, np.nan), where=n > 0)


def picture(cells: ArrayLike, rows: int, cols: int, *, side: int, channels: int = 3) -> Floats:
    """Cells of tokens put back in place as a picture.

    Args:
        cells: (rows * cols, side * side * channels) as `box_means` lays them out.
        rows: rows of the grid.
        cols: columns of the grid.
        side: cells along each side of a token's box.
        channels: numbers a cell.

    Returns:
        (rows * side, cols * side, channels).

    Raises:
        ValueError: when the grid does not fit the cells.
    """
    c = np.asarray(cells, dtype=np.float64)
    if c.shape != (rows * cols, side * side * channels):
        raise ValueError(f"{rows} x {cols} tokens of {side} x {side} cells do not fit values {c.shape}")
    grid = c.reshape(rows, cols, side, side, channels)
    return np.asarray(grid.transpose(0, 2, 1, 3, 4).reshape(rows * side, cols * side, channels))
