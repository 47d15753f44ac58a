"""Models that read an image as words of a vocabulary of its own: Emu3 and Chameleon.

Their tokeniser is convolutional and chooses one of its codes for each place; what enters the language model
is that code's embedding. There is no tower of blocks, so there are no stages before "llm 0".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from workbench.models.grids import grid_over
from workbench.models.hf.family import Family, Inputs, Size
from workbench.models.protocol import Grid, View


class Emu3(Family):
    """Every row of codes ends in a word for the end of the line, which stands where an image token does."""

    model_types: ClassVar[tuple[str, ...]] = ("emu3",)

    def grids(self, inputs: Inputs, sizes: Sequence[Size]) -> list[Grid]:
        """One grid of codes an image, of the size that the processor scaled the image to."""
        cell = self.network.model.vqmodel.vision_spatial_factor
        shapes = (inputs["image_sizes"][: len(sizes)] // cell).tolist()
        return [
            grid_over(rows, cols, (0, 0, width, height), image=k)
            for k, ((rows, cols), (height, width)) in enumerate(zip(shapes, sizes, strict=True))
        ]

    def views(self, inputs: Inputs, sizes: Sequence[Size]) -> list[View]:
        """The codes without the ends of their lines."""
        places = super().visual_positions(inputs)
        out, first = [], 0
        for grid in self.grids(inputs, sizes):
            count = grid.rows * (grid.cols + 1)
            lines = places[first : first + count].view(grid.rows, grid.cols + 1)
            out.append(View(grid, lines[:, :-1].flatten()))
            first += count
        return out


class Chameleon(Family):
    """Square images, cut out of the middle; words for images are never said."""

    model_types: ClassVar[tuple[str, ...]] = ("chameleon",)

    @property
    def patch_size(self) -> Size:
        """Height and width in pixels of the place that a code stands for."""
        cell = 2 ** (len(self.config.vq_config.channel_multiplier) - 1)
        return cell, cell

    def readout(self, states: Tensor) -> Tensor:
        """As by convention, with the words for images at the lowest number there is."""
        logits = super().readout(states)
        logits[..., self.network.model.vocabulary_mapping.image_tokens] = torch.finfo(logits.dtype).min
        return logits
