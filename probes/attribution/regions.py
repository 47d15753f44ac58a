"""What of an image is taken away together: cells of a grid, superpixels, or things with a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.boxes import box_means

Regions = NDArray[np.int64]
"""(H, W), 0 … regions-1, every number at least once."""


def cells(boxes: ArrayLike, height: int, width: int) -> NDArray[np.int64]:
    """The number of each pixel's cell, int64 (height, width); outside all of them that of the nearest.

    So nothing of the image is left over. A cell outside the image has no pixel.

    Args:
        boxes: (cells, 4), x0, y0, x1, y1 in pixels, a grid row by row.
        height: of the image.
        width: of the image.
    """
    corners = np.asarray(boxes, np.float64)
    left, right = np.unique(corners[:, 0]), np.unique(corners[:, 2])
    top, bottom = np.unique(corners[:, 1]), np.unique(corners[:, 3])
    col = _nearest(left, right, width)
    row = _nearest(top, bottom, height)
    return np.asarray(row[:, None] * len(left) + col[None])


def _nearest(begin: NDArray[np.float64], end: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    """The interval that each pixel's middle lies in or nearest to, int64 (size,)."""
    at = np.arange(size)[:, None] + 0.5
    away = np.maximum(np.maximum(begin[None] - at, at - end[None]), 0)
    return np.asarray(away.argmin(axis=1))


def superpixels(image: NDArray[np.uint8], count: int = 40, compactness: float = 10.0) -> Regions:
    """SLIC superpixels (Achanta et al. 2012), about `count` of them, as scikit-image computes them in Lab."""
    from skimage.segmentation import slic

    found = slic(image, n_segments=count, compactness=compactness, start_label=0, channel_axis=-1)
    return compact(found)


def given(labels: ArrayLike) -> Regions:
    """Things by a mask, integers (H, W), numbered anew without gaps."""
    return compact(np.asarray(labels))


def compact(labels: NDArray[np.integer]) -> Regions:
    """The same regions with the numbers 0 … n-1, in the order of their old ones."""
    _, found = np.unique(labels, return_inverse=True)
    return found.reshape(labels.shape).astype(np.int64)


def onto_cells(regions: Regions, values: ArrayLike, boxes: ArrayLike) -> NDArray[np.float64]:
    """Numbers of regions as a map over cells: the mean over a cell's pixels, float64 (cells,).

    As the pictures of LIME show them: every pixel has its region's number. A cell outside the image is NaN.
    """
    painted = np.asarray(values, np.float64)[regions]
    return box_means(painted[None], boxes)[0, :, 0]
