"""What lies under the boxes of tokens: averages of any map, exact where a box cuts through pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def summed(maps: Floats) -> Floats:
    """Summed-area tables of maps (N, H, W): (N, H+1, W+1)."""
    table = np.zeros((len(maps), maps.shape[1] + 1, maps.shape[2] + 1))
    table[:, 1:, 1:] = maps.cumsum(1).cumsum(2)
    return table


def under(table: Floats, edges: Floats) -> Floats:
    """Integrals over boxes (tokens, 4) as x0, y0, x1, y1 inside the map: (N, tokens).

    The integral of a piecewise constant map is bilinear inside a pixel, so reading the table bilinearly
    loses nothing.
    """
    x0, y0, x1, y1 = edges.T
    return _read(table, y1, x1) - _read(table, y0, x1) - _read(table, y1, x0) + _read(table, y0, x0)


def _read(table: Floats, y: Floats, x: Floats) -> Floats:
    """Bilinear reading of summed-area tables (N, H+1, W+1) at (y, x) -> (N, tokens)."""
    top = np.minimum(y.astype(np.int64), table.shape[1] - 2)
    left = np.minimum(x.astype(np.int64), table.shape[2] - 2)
    v, u = y - top, x - left
    return (
        table[:, top, left] * (1 - v) * (1 - u)
        + table[:, top, left + 1] * (1 - v) * u
        + table[:, top + 1, left] * v * (1 - u)
        + table[:, top + 1, left + 1] * v * u
    )


def inside(boxes: ArrayLike, height: int, width: int) -> Floats:
    """Boxes (tokens, 4) cut at the edges of a map, float64. Raises ValueError for another shape."""
    edges = np.asarray(boxes, dtype=np.float64)
    if edges.ndim != 2 or edges.shape[1] != 4:
        raise ValueError(f"boxes must have shape (tokens, 4), not {edges.shape}")
    return np.clip(edges, 0, [width, height, width, height])


def area(edges: Floats) -> Floats:
    """Areas (tokens,) of boxes (tokens, 4), 0 for empty ones."""
    return np.asarray(np.maximum(edges[:, 2] - edges[:, 0], 0) * np.maximum(edges[:, 3] - edges[:, 1], 0))


def split(boxes: ArrayLike, side: int) -> Floats:
    """Each box cut into side x side equal cells, row by row: (tokens, 4) -> (tokens * side * side, 4)."""
    x0, y0, x1, y1 = (np.asarray(boxes, dtype=np.float64)[:, k, None, None] for k in range(4))
    row, col = np.mgrid[:side, :side][:, None] / side
    step = 1 / side
    cells = np.stack(
        [
            x0 + (x1 - x0) * col,
            y0 + (y1 - y0) * row,
            x0 + (x1 - x0) * (col + step),
            y0 + (y1 - y0) * (row + step),
        ],
        axis=-1,
    )
    return np.asarray(cells.reshape(-1, 4))


def box_means(maps: ArrayLike, boxes: ArrayLike, *, side: int = 1) -> Floats:
    """Average of every channel in every cell of every box: the targets of a reader of content.

    Args:
        maps: (N, H, W) or (N, H, W, channels): depth, or pixels, say.
        boxes: (tokens, 4) as x0, y0, x1, y1 in pixels of the map.
        side: cells along each side of a box.

    Returns:
        (N, tokens, side * side * channels), cells row by row, each with its channels; NaN for a cell that
        lies outside the map.

    Raises:
        ValueError: on shapes that make no sense.
    """
    m = np.asarray(maps, dtype=np.float64)
    m = m[..., None] if m.ndim == 3 else m
    if m.ndim != 4 or not m.size or side < 1:
        raise ValueError(f"maps must have shape (N, H, W) or (N, H, W, channels), not {m.shape}")
    n, height, width, channels = m.shape
    edges = inside(split(boxes, side), height, width)
    flat = m.transpose(0, 3, 1, 2).reshape(n * channels, height, width)
    size = area(edges)
    means = np.divide(
        under(summed(flat), edges), size, out=np.full((len(flat), len(edges)), np.nan), where=size > 0
    )
    cells = means.reshape(n, channels, -1, side * side).transpose(0, 2, 3, 1)
    return np.asarray(cells.reshape(n, -1, side * side * channels))
