"""Where on the images the numbers come from that a processor makes of them, found by asking the processor.

Images whose brightness is the column, or the row, go through the processor as any other; what comes out
says of each number where it was read. So crops, tiles, thumbnails, padding and patches need no rule each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.models.origins import Origins

Process = Callable[[Sequence[np.ndarray]], NDArray[np.float64]]
"""Images uint8 (H, W, 3) of one sequence → what the tower reads of them."""
MOST = 255
EDGE = 3
"""Rows and columns at the ends of a picture that are resized with less than a whole kernel: not fitted."""


def origins(process: Process, sizes: Sequence[tuple[int, int]]) -> Origins:
    """The image and the place, in pixels, of each number; sizes: height and width of each image."""
    black, white = (process([np.full((*size, 3), level, np.uint8) for size in sizes]) for level in (0, MOST))
    depends = np.abs(white - black) > 1e-6
    span = np.where(depends, white - black, 1)

    def told(images: list[np.ndarray]) -> NDArray[np.float64]:
        """What share of full brightness each number tells of."""
        return np.where(depends, (process(images) - black) / span, np.nan)

    image = np.where(depends, 0, -1)
    for k in range(1, len(sizes)):
        lit = [np.full((*size, 3), MOST * (k == j), np.uint8) for j, size in enumerate(sizes)]
        image = np.where(told(lit) > 0.5, k, image)
    x, y = (
        _placed(told([_ramp(size, axis) for size in sizes]), image, [size[axis] for size in sizes])
        for axis in (1, 0)
    )
    return Origins(image.astype(np.int16), x.astype(np.float32), y.astype(np.float32))


def _ramp(size: tuple[int, int], axis: int) -> np.ndarray:
    """An image that grows brighter along an axis, from 0 at its first pixel to 255 at its last."""
    steps = np.rint(np.linspace(0, MOST, size[axis])).astype(np.uint8)
    shape = (1, -1, 1) if axis else (-1, 1, 1)
    return np.ascontiguousarray(np.broadcast_to(steps.reshape(shape), (*size, 3)))


def _placed(
    share: NDArray[np.float64], image: NDArray[np.int64], lengths: Sequence[int]
) -> NDArray[np.float64]:
    """Pixels along one axis, counted from an image's edge, of shares of the way from first to last pixel.

    Brightness has 256 steps, which is coarser than pixels of a large image. So in pictures (..., 3, h, w) a
    line is laid through what their columns and rows tell; flattened patches (..., patches, numbers) are
    placed as a whole, by their mean.
    """
    pixels = share * (np.array(lengths)[np.maximum(image, 0)] - 1) + 0.5
    if pixels.ndim < 4 or pixels.shape[-3] != 3:
        known = np.isfinite(pixels)
        total = np.where(known, pixels, 0).sum(-1, keepdims=True)
        return np.broadcast_to(total / np.maximum(known.sum(-1, keepdims=True), 1), pixels.shape).copy()
    flat = pixels.reshape(-1, *pixels.shape[-2:])
    for picture in flat:
        for axis in (0, 1):
            _straighten(picture, axis)
    return flat.reshape(pixels.shape)


def _straighten(picture: NDArray[np.float64], axis: int) -> None:
    """Lay a line through a picture (h, w) whose numbers change along this axis only; others stay."""
    lines = picture if axis == 1 else picture.T
    known = np.isfinite(lines)
    if not known.any():
        return
    mean = np.nanmean(lines[known.any(1)][:, known.any(0)], axis=0)
    if np.ptp(mean) < 1e-6 or len(mean) < 2 * EDGE + 2:
        return
    at = np.flatnonzero(known.any(0)).astype(np.float64)
    inner = slice(EDGE, -EDGE)
    slope, offset = np.polyfit(at[inner], mean[inner], 1)
    fitted = slope * np.arange(lines.shape[1]) + offset
    if np.abs(fitted[at.astype(int)] - mean)[inner].max() > 1 + np.ptp(mean) / MOST * 2:
        return  # Several pictures lie side by side in it.
    lines[...] = np.where(known, fitted[None], np.nan)
