"""Ovis 2: a thumbnail and tiles, whose tokens are mixtures of the rows of a table of visual words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from workbench.models.hf.family import Inputs, Size
from workbench.models.hf.tiles import Cut, Tiled


class Ovis2(Tiled):
    """As few tiles as cover the image well, if it is cut at all; it is stretched over them."""

    model_types: ClassVar[tuple[str, ...]] = ("ovis2",)
    thumbnail_first = True

    @property
    def merged(self) -> int:
        """Patches on a side of what becomes one token."""
        return int(self.config.vision_config.hidden_stride)

    def cuts(self, inputs: Inputs, sizes: Sequence[Size]) -> list[Cut]:
        """How each image was cut, from its size and the processor's settings."""
        return [Cut(*self.arranged(size), (0, 0, size[1], size[0])) for size in sizes]

    def arranged(self, size: Size) -> Size:
        """Rows and columns of the tiles that an image of this size is cut into."""
        from transformers.models.ovis2 import image_processing_pil_ovis2 as ovis2

        settings = self._image_processor
        if not settings.crop_to_patches or settings.max_patches == 1:
            return 1, 1
        tile, most = settings.size, settings.max_patches
        if settings.use_covering_area_grid:
            cols, rows = ovis2.get_min_tile_covering_grid(size, tile["height"], most)
        else:
            square = (tile["height"], tile["width"])
            cols, rows = ovis2.get_optimal_tiled_canvas(size, square, settings.min_patches, most)
        return rows, cols
