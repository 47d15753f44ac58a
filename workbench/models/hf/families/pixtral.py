"""Pixtral's tower: every image at its own resolution, all of them in one sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch

from workbench.models.grids import grid_over
from workbench.models.hf.family import Family, Inputs, Size
from workbench.models.protocol import Grid, View


class Pixtral(Family):
    """The processor tells the size that each image is scaled to; what fills up a batch never becomes a token.

    Tokens that end a row or an image are words of their own and belong to no grid.
    """

    model_types: ClassVar[tuple[str, ...]] = (
        "mistral3",
        "mistral_large4",
        "lighton_ocr",
        "llava with pixtral",
    )

    def _scaled(self, inputs: Inputs, cell: int) -> list[Size]:
        """Rows and columns of cells of so many pixels in each image of the first sequence."""
        return [(height // cell, width // cell) for height, width in inputs["image_sizes"].tolist()]

    def grids(self, inputs: Inputs, sizes: Sequence[Size]) -> list[Grid]:
        """One grid an image, of patches or of those that are merged."""
        merge = getattr(self.config, "spatial_merge_size", 1)
        shapes = self._scaled(inputs, merge * self.config.vision_config.patch_size)
        return [
            grid_over(rows, cols, (0, 0, width, height), image=k)
            for k, ((rows, cols), (height, width)) in enumerate(zip(shapes, sizes, strict=False))
        ]

    def tower_view(self, inputs: Inputs, sizes: Sequence[Size]) -> View | None:
        """The patches of the first image, which stand first, row by row."""
        rows, cols = self._scaled(inputs, self.config.vision_config.patch_size)[0]
        height, width = sizes[0]
        return View(grid_over(rows, cols, (0, 0, width, height)), torch.arange(rows * cols))
