"""Mean-shift filtering over a pyramid of two levels, as OpenCV's ``pyrMeanShiftFiltering`` defines it.

Every pixel walks, in place and colour, to the mean of those near it in both (Comaniciu and Meer, 2002), at
half the resolution first; at the full one only where the coarse result has an edge. OpenCV's defaults: two
levels, at most five steps, an end where a step moves by one or less.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.images.corruptions.filters import mirrored

Bytes = NDArray[np.uint8]
STEPS = 5
ZERO: Any = np.int32(0)
SMALL = 1e7
"""Pixels that all walks look at in a step, about a quarter of them: below, threads cost what they save."""
NEAR = 16
"""Least squared distance in colour at which two neighbours count as an edge."""


def filtered(image: Bytes, radius: float, colours: float) -> Bytes:
    """uint8 (H, W, 3) from the same: ``radius`` in pixels, ``colours`` in levels over the three channels."""
    squared = round(colours * colours)
    half = _halved(image)
    small = _walked(half, half.copy(), np.ones(half.shape[:2], np.bool_), max(radius / 2, 1.0), squared)
    edges = _edges(small, image.shape[:2], max(squared, NEAR))
    return _walked(image, _doubled(small, image.shape[:2]), edges, max(radius, 1.0), squared)


def _walked(image: Bytes, result: Bytes, where: NDArray[np.bool_], radius: float, squared: int) -> Bytes:
    """The result with each pixel of ``where`` replaced by the colour that its walk over the image ends at."""
    # Whole numbers of 32 bits, so that the inner loop takes several pixels at a time.
    planes = np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.int32)
    looked_at = float(where.sum()) * radius * radius
    threads = min(os.cpu_count() or 1, len(image)) if looked_at > SMALL else 1
    # Walks do not know of one another: each thread takes every so many-th row.
    with ThreadPoolExecutor(threads) as pool:
        done = [
            pool.submit(_walk(), planes, result, where, float(radius), squared, first, threads)
            for first in range(threads)
        ]
    for each in done:
        each.result()
    return result


def _halved(image: Bytes) -> Bytes:
    """Half the height and width, rounded up, after the binomial filter of five taps; rounded once."""
    height, width = image.shape[:2]
    padded = image[mirrored(height, 2, 2)][:, mirrored(width, 2, 2)].astype(np.int32)
    taps = np.array([1, 4, 6, 4, 1], np.int32)
    down = np.stack([padded[i : i + height : 2] for i in range(len(taps))], -1) @ taps
    both = np.stack([down[:, i : i + width : 2] for i in range(len(taps))], -1) @ taps
    return ((both + 128) >> 8).astype(np.uint8)


def _doubled(image: Bytes, size: tuple[int, ...]) -> Bytes:
    """Twice the height and width by the same taps, cut to ``size``; its last pixel is repeated."""
    values = image.astype(np.int32)
    for axis in (0, 1):
        values = np.moveaxis(values, axis, 0)
        before = values[mirrored(len(values), 1, 0)][:-1]
        after = np.concatenate([values[1:], values[-1:]])
        pairs = np.stack([before + 6 * values + after, 4 * (values + after)], axis=1)
        values = np.moveaxis(pairs.reshape(-1, *values.shape[1:]), 0, axis)
    return np.ascontiguousarray(((values + 32) >> 6)[: size[0], : size[1]], dtype=np.uint8)


def _edges(small: Bytes, size: tuple[int, ...], threshold: int) -> NDArray[np.bool_]:
    """Where, at the full size, the coarse result differs between neighbours: bool (H, W)."""
    rows, columns = small.shape[:2]
    found = np.zeros((rows, columns), np.bool_)
    values = small.astype(np.int32)
    inner = values[1:-1, 1:-1]
    for down in (0, 1, 2):
        for across in (0, 1, 2):
            other = values[down : down + rows - 2, across : across + columns - 2]
            found[1:-1, 1:-1] |= np.square(inner - other).sum(-1) >= threshold
    wide = np.zeros((2 * rows + 4, 2 * columns + 4), np.bool_)
    # A coarse pixel stands for the place below and before it, and its neighbourhood there.
    y, x = (2 * places for places in np.nonzero(found))
    for down in (1, 2, 3):
        for across in (-1, 0, 1):
            wide[y + down, x + across] = True
    return wide[1 : size[0] + 1, 1 : size[1] + 1]


@lru_cache(maxsize=1)
def _walk() -> Callable[..., Any]:
    """The walks, compiled: they have no form in whole arrays that is not a hundred times as slow."""
    from numba import njit

    compiled: Callable[..., Any] = njit(nogil=True)(_every)
    return compiled


def _every(planes: Any, result: Any, where: Any, radius: float, squared: int, first: int, apart: int) -> None:
    height, width = where.shape
    reds, greens, blues = planes[0], planes[1], planes[2]
    most = np.int32(squared)
    for i in range(first, height, apart):
        for j in range(width):
            if not where[i, j]:
                continue
            y, x = i, j
            red, green, blue = reds[i, j], greens[i, j], blues[i, j]
            for _ in range(STEPS):
                top, bottom = max(0, round(y - radius)), min(height - 1, round(y + radius))
                left, right = max(0, round(x - radius)), min(width - 1, round(x + radius))
                count, sum_x, sum_y = 0, 0, 0
                sum_red, sum_green, sum_blue = 0, 0, 0
                for k in range(top, bottom + 1):
                    row_red, row_green, row_blue = ZERO, ZERO, ZERO
                    row, row_x = ZERO, ZERO
                    r, g, b = (
                        reds[k, left : right + 1],
                        greens[k, left : right + 1],
                        blues[k, left : right + 1],
                    )
                    for m in range(right - left + 1):
                        dr, dg, db = r[m] - red, g[m] - green, b[m] - blue
                        near = np.int32(dr * dr + dg * dg + db * db <= most)
                        row_red += near * r[m]
                        row_green += near * g[m]
                        row_blue += near * b[m]
                        row_x += near * np.int32(m)
                        row += near
                    count += row
                    sum_x += row_x + row * left
                    sum_y += row * k
                    sum_red += row_red
                    sum_green += row_green
                    sum_blue += row_blue
                if count == 0:
                    break
                next_y, next_x = round(sum_y / count), round(sum_x / count)
                next_red = np.int32(round(sum_red / count))
                next_green = np.int32(round(sum_green / count))
                next_blue = np.int32(round(sum_blue / count))
                moved = abs(next_x - x) + abs(next_y - y)
                moved += (next_red - red) ** 2 + (next_green - green) ** 2 + (next_blue - blue) ** 2
                still = next_x == x and next_y == y
                y, x, red, green, blue = next_y, next_x, next_red, next_green, next_blue
                if still or moved <= 1:
                    break
            result[i, j, 0], result[i, j, 1], result[i, j, 2] = red, green, blue
