"""From which place of which image each number comes that a model reads, and sums of them in cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.models.protocol import Grid


@dataclass(frozen=True)
class Origins:
    """image: int16, which of the images, −1 where a number comes from none (padding).

    x, y: float32, the place in pixels of that image, its first pixel's centre being 0.5. All three have the
    shape of what a model reads of one sequence.
    """

    image: NDArray[np.int16]
    x: NDArray[np.float32]
    y: NDArray[np.float32]

    def summed(self, values: NDArray[np.floating], grid: Grid) -> NDArray[np.float64]:
        """Sums (B, cells) of values (B, *shape) over each cell of a grid; what lies in none is left out."""
        cell = self.cells(grid)
        held = cell >= 0
        count = grid.rows * grid.cols
        flat = values.reshape(len(values), -1)[:, held].astype(np.float64)
        return np.stack([np.bincount(cell[held], row, count) for row in flat])

    def cells(self, grid: Grid) -> NDArray[np.int64]:
        """Which cell of the grid each number lies in, int64 (numbers,); −1 where it lies in none."""
        boxes = grid.boxes.reshape(grid.rows, grid.cols, 4)
        x, y = np.nan_to_num(self.x.ravel(), nan=-1e9), np.nan_to_num(self.y.ravel(), nan=-1e9)
        col, row = _bins(boxes[0, :, 0], boxes[0, :, 2], x), _bins(boxes[:, 0, 1], boxes[:, 0, 3], y)
        inside = (row >= 0) & (col >= 0) & (self.image.ravel() == grid.image)
        return np.where(inside, row * grid.cols + col, -1)


def whole(grids: Sequence[Grid]) -> list[Grid]:
    """One grid for each image: the first that shows it and is no thumbnail or latent image."""
    first: dict[int, Grid] = {}
    for grid in grids:
        if grid.part in ("image", "tiles"):
            first.setdefault(grid.image, grid)
    return list(first.values())


def _bins(
    starts: NDArray[np.float32], ends: NDArray[np.float32], at: NDArray[np.floating]
) -> NDArray[np.int64]:
    """Which of the intervals, in order along an axis, each place lies in; −1 where in none."""
    found = np.searchsorted(starts, at, side="right") - 1
    inside = (found >= 0) & (at < ends[np.maximum(found, 0)])
    return np.where(inside, found, -1)
