"""InternVL, Aya Vision, Command A Vision: the image is stretched over tiles; a thumbnail comes last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from workbench.models.grids import Rectangle
from workbench.models.hf.family import Inputs, Size
from workbench.models.hf.tiles import Cut, Tiled


class StretchedTiles(Tiled):
    """As many tiles as fit the image's shape best, if it is cut at all; blocks of patches become a token."""

    model_types: ClassVar[tuple[str, ...]] = ("internvl", "qianfan_ocr", "aya_vision")
    scales_logits: ClassVar[bool] = False

    @property
    def merged(self) -> int:
        """Patches on a side of what the pixel shuffle makes one token."""
        factor = getattr(self.config, "downsample_factor", None)
        return int(factor or round(1 / self.config.downsample_ratio))

    def arranged(self, size: Size, tile: Size) -> Size:
        """Rows and columns of the tiles that an image of this size is cut into."""
        from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas

        settings = self._image_processor
        cols, rows = get_optimal_tiled_canvas(size, tile, settings.min_patches, settings.max_patches)
        return rows, cols

    def cuts(self, inputs: Inputs, sizes: Sequence[Size]) -> list[Cut]:
        """How each image was cut; one that was not is one tile."""
        wholes: list[Rectangle] = [(0, 0, width, height) for height, width in sizes]
        down, across = self.cells(inputs)
        if len(self.visual_positions(inputs)) == down * across * len(sizes):
            return [Cut(1, 1, whole) for whole in wholes]
        tile = inputs["pixel_values"].shape[-2:]
        return [
            Cut(*self.arranged(size, (int(tile[0]), int(tile[1]))), whole)
            for size, whole in zip(sizes, wholes, strict=True)
        ]


class LeastEnlarged(StretchedTiles):
    """As the others, with tiles arranged by how much they enlarge the image, not by its shape alone."""

    model_types = ("cohere2_vision",)

    def arranged(self, size: Size, tile: Size) -> Size:
        """Rows and columns of the tiles that an image of this size is cut into."""
        from workbench.models.hf.image_processors.cohere2_vision import arrangement

        return arrangement(size, tile, self._image_processor.max_patches)
