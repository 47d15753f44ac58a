"""Numbers of visual tokens, wherever they stand, as a map over the cells of one grid."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from workbench.models.protocol import Grid
from workbench.panels.attribution.case import Case

Floats = NDArray[np.float64]


def onto_grid(case: Case, values: NDArray[np.floating]) -> Floats:
    """Sums of numbers (…, tokens), the tokens of all views one after the other, over the map's cells.

    A token of a thumbnail or of another grid is shared out among the cells under it by area; the parts of it
    that lie on none are left out. Views of another image do not count.
    """
    made, at = np.zeros((*values.shape[:-1], case.cells)), 0
    for view in case.views:
        count = view.grid.rows * view.grid.cols
        own = values[..., at : at + count].astype(np.float64)
        at += count
        if view.grid.image == case.grid.image:
            made += (
                own
                if np.array_equal(view.grid.boxes, case.grid.boxes)
                else own @ shared(view.grid, case.grid)
            )
    return made


def shared(source: Grid, onto: Grid) -> Floats:
    """The share of each of a grid's cells that lies on each of another's, float64 (cells, others)."""
    return _overlap(source.boxes.tobytes(), onto.boxes.tobytes())


@lru_cache(maxsize=32)
def _overlap(source: bytes, onto: bytes) -> Floats:
    a, b = (np.frombuffer(boxes, np.float32).reshape(-1, 4).astype(np.float64) for boxes in (source, onto))
    across = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    down = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    area = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    return np.asarray(np.maximum(across, 0) * np.maximum(down, 0) / area[:, None])
