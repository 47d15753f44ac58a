"""Tokens of towers with finer patches in the cells of the language model's, so that stages share rows."""

from __future__ import annotations

import numpy as np

from workbench.capture.hidden import Captured
from workbench.models.grids import onto_cells


def tokens_in_cells(captured: Captured) -> dict[int, np.ndarray]:
    """States (N, cells, width) by stage in the cells of the prompt's grid, where its patches fill them."""
    found = {}
    for i, (states, grid) in enumerate(zip(captured.states, captured.grids, strict=True)):
        if grid is None:
            continue
        cells = onto_cells(grid, captured.grid)
        if cells is not None:
            found[i] = np.stack([cells(image) for image in states])
    return found
