"""Models that read an image as words of a vocabulary of its own: Emu3 and Chameleon.

Their tokeniser is convolutional and chooses one of its codes for each place; what enters the language model
is that code's embedding. There is no tower of blocks, so there are no stages before "llm 0".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from workbench.models.drawing import DrawEvent, DrawSettings, Tokenised
from workbench.models.grids import grid_over
from workbench.models.hf.drawing import emu3
from workbench.models.hf.drawing.loop import paint
from workbench.models.hf.drawing.pixels import returned
from workbench.models.hf.family import Family, Inputs, Size
from workbench.models.protocol import Capability, Grid, View


class Emu3(Family):
    """Every row of codes ends in a word for the end of the line, which stands where an image token does."""

    model_types: ClassVar[tuple[str, ...]] = ("emu3",)
    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.GENERATES, Capability.TOKENISES})

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

    def draw(self, words: str, settings: DrawSettings, stop: Callable[[], bool]) -> Iterator[DrawEvent]:
        """Word by word; see `workbench.models.hf.drawing.emu3`."""
        yield from paint(emu3.Emu3Brush(self.network, self.processor, words, settings), stop)

    def tokenised(self, image: np.ndarray) -> Tokenised:
        """The image at the size that the processor scales it to, as the language model gets it."""
        tokeniser = self.network.model.vqmodel
        made = self._image_processor(images=[image], return_tensors="pt")
        pixels = made["pixel_values"].to(tokeniser.device, tokeniser.dtype)
        (codes,) = tokeniser.encode(pixels, made["image_sizes"]).image_tokens
        height, width = made["image_sizes"][0].tolist()
        return Tokenised(
            codes.cpu().numpy().astype(np.int64),
            self.config.vq_config.codebook_size,
            returned(self.processor, pixels[0, :, :height, :width]),
            emu3.decoded(self.network, self.processor, codes),
            (0, 0, height, width),
        )


class Chameleon(Family):
    """Square images, cut out of the middle; words for images are never said."""

    model_types: ClassVar[tuple[str, ...]] = ("chameleon",)
    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.TOKENISES})

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

    def tokenised(self, image: np.ndarray) -> Tokenised:
        """The middle of the image as the language model gets it.

        Nothing reads it back: what transformers has of the tokeniser is its encoder alone.
        """
        tokeniser = self.network.model.vqmodel
        pixels = self._image_processor(images=[image], return_tensors="pt")["pixel_values"]
        pixels = pixels.to(tokeniser.device, tokeniser.dtype)
        height, width = pixels.shape[-2:]
        down, across = self.patch_size
        codes = tokeniser.encode(pixels).image_tokens.view(height // down, width // across)
        return Tokenised(
            codes.cpu().numpy(),
            self.config.vq_config.num_embeddings,
            returned(self.processor, pixels[0]),
            None,
            (0, 0, height, width),
        )
