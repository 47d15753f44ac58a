"""Gemma 3: the image as one square, and where pan-and-scan is on, crops of a long image after it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from workbench.models.grids import Edges, edges, grid_of
from workbench.models.hf.family import Inputs, Size
from workbench.models.hf.tiles import Cut, Tiled
from workbench.models.protocol import Grid


class Gemma3(Tiled):
    """The crops of an image lie side by side, or one above the other, and cover it: they make one grid.

    They are off, as published, unless the settings of the image processor say `do_pan_and_scan`; where those
    leave out how to crop, the defaults of transformers hold. (Transformers itself lets its default, off, win
    over the folder's settings: that the folder's are kept is our choice.)
    """

    model_types: ClassVar[tuple[str, ...]] = ("gemma3",)
    thumbnail_first = True

    def __init__(self, network: Any, processor: Any) -> None:
        super().__init__(network, processor)
        handed = getattr(processor, "images_kwargs", {})  # older releases of 5.x keep them elsewhere
        own = {name: getattr(self._image_processor, name, None) for name in handed}
        processor.images_kwargs = handed | {name: value for name, value in own.items() if value is not None}

    def cells(self, inputs: Inputs) -> Size:
        """Rows and columns of the visual tokens of one square."""
        side = math.isqrt(self.config.mm_tokens_per_image)
        return side, side

    def cuts(self, inputs: Inputs, sizes: Sequence[Size]) -> list[Cut]:
        """The crops of each image, as its processor makes them; an image without any is one square."""
        settings = self.processor.images_kwargs
        how = {name: value for name, value in settings.items() if name.startswith("pan_and_scan_")}
        out = []
        for height, width in sizes:
            blank = np.broadcast_to(np.uint8(0), (3, height, width))
            cropped = settings.get("do_pan_and_scan")
            made = self._image_processor.pan_and_scan(blank, **how) if cropped else []
            shape = (1, len(made) or 1) if width >= height else (len(made) or 1, 1)
            out.append(Cut(*shape, (0, 0, width, height)))
        return out

    def laid(self, cut: Cut, down: int, across: int, image: int = 0) -> Grid:
        """As of tiles, but crops are of whole pixels: the last one is smaller where they do not divide."""
        _, _, width, height = cut.box

        def along(length: float, crops: int, cells: int) -> Edges:
            starts = range(0, int(length), step := math.ceil(length / crops))
            return np.concatenate([edges(s, min(s + step, length), cells) for s in starts])

        y, x = along(height, cut.rows, down), along(width, cut.cols, across)
        return grid_of(y, x, image=image, name=cut.part)
