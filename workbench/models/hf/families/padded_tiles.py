"""Llama 4: the image keeps its shape on a canvas of tiles that is padded right or below; then all of it."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.models.hf.family import Inputs, Size
from workbench.models.hf.tiles import Cut, Tiled


class PaddedTiles(Tiled):
    """Tiles with separators between them; blocks of patches become one token; the class token comes last."""

    model_types = ("llama4",)

    @property
    def merged(self) -> int:
        """Patches on a side of what the pixel shuffle makes one token."""
        return int(round(1 / self.config.vision_config.pixel_shuffle_ratio))

    @property
    def first_patch(self) -> int:
        """Which of the tower's tokens of a tile is its first patch."""
        return 0

    def cuts(self, inputs: Inputs, sizes: Sequence[Size]) -> list[Cut]:
        """How each image was cut, from its size and the processor's settings."""
        from workbench.models.hf.image_processors.llama4 import fit

        settings, out = self._image_processor, []
        tile = int(inputs["pixel_values"].shape[-1])
        for size in sizes:
            (rows, cols), on = fit(size, tile, settings.max_patches, settings.resize_to_max_canvas)
            right, below = cols * tile * size[1] / on[1], rows * tile * size[0] / on[0]
            out.append(Cut(rows, cols, (0, 0, right, below)))
        return out
