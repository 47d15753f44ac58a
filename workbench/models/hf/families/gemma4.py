"""Gemma 4: patches at the image's own shape, as many as the budget lets, pooled three by three."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch

from workbench.models.grids import grid_over
from workbench.models.hf.family import Family, Inputs, Size
from workbench.models.protocol import Grid, View


class Gemma4(Family):
    """The processor tells each patch's column and row; what fills up the budget has neither."""

    model_types: ClassVar[tuple[str, ...]] = ("gemma4",)

    def _patches(self, inputs: Inputs, images: int) -> list[Size]:
        """Rows and columns of patches of the first sequence's images."""
        last = inputs["image_position_ids"][:images].amax(1).tolist()
        return [(row + 1, col + 1) for col, row in last]

    def grids(self, inputs: Inputs, sizes: Sequence[Size]) -> list[Grid]:
        """One grid of pooled patches an image."""
        side = int(self.config.vision_config.pooling_kernel_size)
        shapes = self._patches(inputs, len(sizes))
        return [
            grid_over(rows // side, cols // side, (0, 0, width, height), image=k)
            for k, ((rows, cols), (height, width)) in enumerate(zip(shapes, sizes, strict=True))
        ]

    def tower_view(self, inputs: Inputs, sizes: Sequence[Size]) -> View | None:
        """The patches of the first image, row by row."""
        rows, cols = self._patches(inputs, 1)[0]
        height, width = sizes[0]
        return View(grid_over(rows, cols, (0, 0, width, height)), torch.arange(rows * cols))
