"""Command A Vision's image processor on PIL: tiles that enlarge the image least, and a thumbnail."""

from __future__ import annotations

from typing import Any

import numpy as np
from transformers.image_utils import SizeDict
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from workbench.models.hf.family import Size


def arrangement(size: Size, tile: Size, most: int) -> Size:
    """Rows and columns of at most so many tiles for an image of this size.

    Of those that hold the whole image without shrinking it, the one that enlarges it least; where none does,
    the one that shrinks it least.
    """
    shapes = [(rows, cols) for cols in range(1, most + 1) for rows in range(1, most // cols + 1)]
    shapes.sort(key=lambda shape: shape[0] * shape[1])
    # Tiles are square: transformers takes the height of a tile for both.
    scales = [min(cols * tile[0] / size[1], rows * tile[0] / size[0]) for rows, cols in shapes]
    enlarging = [scale for scale in scales if scale >= 1]
    return shapes[scales.index(min(enlarging) if enlarging else max(scales))]


class Cohere2VisionImageProcessor(GotOcr2ImageProcessorPil):
    """As GOT-OCR2's, with tiles arranged by how much they enlarge the image."""

    size = {"height": 512, "width": 512}
    crop_to_patches = True
    patch_size = 16

    def crop_image_to_patches(
        self,
        image: np.ndarray,
        min_patches: int,
        max_patches: int,
        use_thumbnail: bool = True,
        patch_size: Any = None,
        resample: Any = None,
    ) -> list[np.ndarray]:
        """The tiles of one image (channels, height, width), row by row, and the thumbnail if several."""
        down, across = patch_size.height, patch_size.width
        rows, cols = arrangement((image.shape[1], image.shape[2]), (down, across), max_patches)
        canvas = self.resize(image, SizeDict(height=rows * down, width=cols * across), resample=resample)
        tiles = [
            canvas[:, r * down : (r + 1) * down, c * across : (c + 1) * across]
            for r in range(rows)
            for c in range(cols)
        ]
        if use_thumbnail and len(tiles) > 1:
            tiles.append(self.resize(image, patch_size, resample=resample))
        return tiles
