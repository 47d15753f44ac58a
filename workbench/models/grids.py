"""Rectangles of an image that visual tokens stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.models.protocol import Grid

Rectangle = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels."""
Part = Literal["image", "tiles", "thumbnail", "latent"]


Edges = NDArray[np.float32]
"""Where each of some cells begins and ends along one side of an image: (cells, 2), in pixels."""


def edges(start: float, end: float, cells: int, *, tiles: int = 1, seen: float = 1.0) -> Edges:
    """Equal cells from `start` to `end`, so many in each of the tiles.

    seen: the share of a tile, from its beginning, that its cells cover, where patches leave some of it over.
    """
    length = (end - start) / tiles
    begins = [start + tile * length for tile in range(tiles)]
    marks = [np.linspace(b, b + length * seen, cells + 1, dtype=np.float32) for b in begins]
    return np.concatenate([np.stack([m[:-1], m[1:]], axis=1) for m in marks])


def pooled(cells: Edges, count: int) -> Edges:
    """The cells when they are made fewer: `count` ones of equally many of them, whole or in part."""
    first, last = np.arange(count) * len(cells) / count, np.arange(1, count + 1) * len(cells) / count
    begin, end = np.floor(first).astype(int), np.ceil(last).astype(int) - 1
    width = cells[:, 1] - cells[:, 0]
    starts, ends = cells[begin, 0] + (first - begin) * width[begin], cells[end, 0] + (last - end) * width[end]
    return np.stack([starts, ends], axis=1).astype(np.float32)


def grid_of(y: Edges, x: Edges, *, image: int = 0, name: Part = "image") -> Grid:
    """The grid whose rows and columns begin and end there."""
    row, col = np.mgrid[: len(y), : len(x)].reshape(2, -1)
    boxes = np.stack([x[col, 0], y[row, 0], x[col, 1], y[row, 1]], axis=1)
    return Grid(len(y), len(x), boxes, image, name)


def grid_over(rows: int, cols: int, part: Rectangle, *, image: int = 0, name: Part = "image") -> Grid:
    """A grid of equal cells over one part of an image."""
    y, x = edges(part[1], part[3], rows), edges(part[0], part[2], cols)
    return grid_of(y, x, image=image, name=name)


def centre_crop(height: int, width: int, shortest: int, crop_height: int, crop_width: int) -> Rectangle:
    """What remains of an image after its shortest side is scaled to `shortest` and the centre is cut out.

    Where the cut is larger than the scaled image the rectangle reaches beyond the image: what is there is
    padding.
    """
    scale = min(height, width) / shortest
    half_width, half_height = crop_width * scale / 2, crop_height * scale / 2
    return width / 2 - half_width, height / 2 - half_height, width / 2 + half_width, height / 2 + half_height


def onto_cells(own: Grid, onto: Grid) -> Callable[[np.ndarray], np.ndarray] | None:
    """A function that turns numbers of a stage's own patches, (patches, ...), into those of the cells.

    A tower may cut finer patches than the language model reads; then a cell gets their mean. None where a
    cell would hold none.
    """
    if np.array_equal(own.boxes, onto.boxes):
        return lambda values: values.astype(np.float32)
    middle = (own.boxes[:, :2] + own.boxes[:, 2:]) / 2
    inside = (middle[None] >= onto.boxes[:, None, :2]) & (middle[None] < onto.boxes[:, None, 2:])
    holds = inside.all(axis=2).astype(np.float32)
    counts = holds.sum(axis=1, keepdims=True)
    return (lambda values: holds / counts @ values.astype(np.float32)) if (counts > 0).all() else None
