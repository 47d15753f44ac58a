"""Rectangles of an image that visual tokens stand for."""

from __future__ import annotations

from typing import Literal

import numpy as np

from workbench.models.protocol import Grid

Rectangle = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels."""


def grid_over(
    rows: int,
    cols: int,
    part: Rectangle,
    *,
    image: int = 0,
    name: Literal["image", "tiles", "thumbnail"] = "image",
) -> Grid:
    """A grid of equal cells over one part of an image."""
    x = np.linspace(part[0], part[2], cols + 1, dtype=np.float32)
    y = np.linspace(part[1], part[3], rows + 1, dtype=np.float32)
    row, col = np.mgrid[:rows, :cols].reshape(2, -1)
    boxes = np.stack([x[col], y[row], x[col + 1], y[row + 1]], axis=1)
    return Grid(rows, cols, boxes, image, name)


def centre_crop(height: int, width: int, shortest: int, crop_height: int, crop_width: int) -> Rectangle:
    """What remains of an image after its shortest side is scaled to `shortest` and the centre is cut out.

    Where the cut is larger than the scaled image the rectangle reaches beyond the image: what is there is
    padding.
    """
    scale = min(height, width) / shortest
    half_width, half_height = crop_width * scale / 2, crop_height * scale / 2
    return width / 2 - half_width, height / 2 - half_height, width / 2 + half_width, height / 2 + half_height
