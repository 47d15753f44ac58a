"""LLaVA-NeXT and LLaVA-OneVision: a thumbnail, then tiles of a padded canvas, unpadded, with newlines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from workbench.models.grids import grid_over
from workbench.models.hf.family import Family, Inputs, Size
from workbench.models.hf.tiles import assembled
from workbench.models.protocol import Grid, Prompt, Stage, Tap, View


class LlavaNext(Family):
    """The image keeps its shape on a canvas of tiles; rows and columns of mere padding are taken out again.

    Tokens come as the thumbnail's, then those of the canvas with a newline after each row.
    """

    model_types = ("llava_next",)
    scales_logits: ClassVar[bool] = False

    @property
    def side(self) -> int:
        """Tokens on a side of a tile, and of the thumbnail."""
        vision = self.config.vision_config
        return int(vision.image_size) // int(vision.patch_size)

    def canvas(self, size: Size, image: int = 0) -> tuple[Grid, Tensor]:
        """The canvas's patches, padding included, for an image of this size.

        Returns their grid, and where each stands in the sequence of the tiles' patches.
        """
        from transformers.image_processing_utils import get_patch_output_size, select_best_resolution
        from transformers.image_utils import ChannelDimension

        tile = self.config.vision_config.image_size
        height, width = size
        down, across = select_best_resolution(size, self.config.image_grid_pinpoints)
        resized = get_patch_output_size(
            np.broadcast_to(0, (3, *size)), (down, across), ChannelDimension.FIRST
        )
        y, x = height / resized[0], width / resized[1]
        top, left = (down - resized[0]) // 2, (across - resized[1]) // 2
        rows, cols = down // tile, across // tile
        box = (-left * x, -top * y, (across - left) * x, (down - top) * y)
        grid = grid_over(rows * self.side, cols * self.side, box, image=image, name="tiles")
        return grid, assembled(rows, cols, self.side, self.side)

    def unpadded(self, size: Size, image: int = 0) -> tuple[Grid, Tensor]:
        """What the model keeps of the canvas: its grid, and where each patch stands among the tiles'."""
        from transformers.models.llava_next.modeling_llava_next import unpad_image

        grid, places = self.canvas(size, image)
        kept = unpad_image(torch.arange(len(places)).view(1, grid.rows, grid.cols), size)[0]
        rows, cols = kept.shape
        kept = kept.reshape(-1)
        return Grid(rows, cols, grid.boxes[kept.numpy()], image, "tiles"), places[kept]

    def layout(self, size: Size, image: int, images: int) -> tuple[Grid, Grid | None]:
        """The grid of one of so many images as a whole, and that of its canvas, None where it has none."""
        small = grid_over(self.side, self.side, (0, 0, size[1], size[0]), image=image, name="thumbnail")
        return small, self.unpadded(size, image)[0]

    def views(self, inputs: Inputs, sizes: Sequence[Size]) -> list[View]:
        """For each image its canvas and its thumbnail; newlines belong to neither."""
        places, base = self.visual_positions(inputs), self.side**2
        layouts = [self.layout(size, k, len(sizes)) for k, size in enumerate(sizes)]
        # What has no canvas still ends in one newline.
        lengths = [base + (canvas.rows * (canvas.cols + 1) if canvas else 1) for _, canvas in layouts]
        if sum(lengths) != len(places):
            raise self.misplaced(len(places), [grid for pair in layouts for grid in pair if grid])
        out = []
        for (whole, canvas), own in zip(layouts, places.split(lengths), strict=True):
            if canvas:
                rows = own[base:].view(canvas.rows, canvas.cols + 1)
                out.append(View(canvas, rows[:, :-1].reshape(-1)))
            out.append(View(whole, own[:base]))
        return out

    def tower_view(self, inputs: Inputs, sizes: Sequence[Size]) -> View | None:
        """The patches of the first image's canvas, padding included; its thumbnail's are left out."""
        grid, places = self.canvas(sizes[0])
        cells, extra = self.side**2, int(self.has_class_token)
        # The thumbnail comes first, and every picture may have a class token before its patches.
        return View(grid, (places // cells + 1) * (cells + extra) + extra + places % cells)

    def projected(self, stage: Stage, prompt: Prompt) -> Tap:
        """The patches that are kept of the first image's canvas."""
        assert self.parts.projector is not None
        grid, places = self.unpadded(prompt.images[0].shape[:2])
        return Tap(stage, self.parts.projector, places + self.side**2, grid=grid)


class LlavaOnevision(LlavaNext):
    """As LLaVA-NeXT for one image, whose canvas is pooled where it is large; several are padded to squares.

    Pooling is bilinear between patches, so a pooled token also holds a little of its cell's neighbours.
    """

    model_types = ("llava_onevision",)

    def layout(self, size: Size, image: int, images: int) -> tuple[Grid, Grid | None]:
        """As in LLaVA-NeXT for the one image of a prompt; of several, each is one padded square."""
        if images > 1:
            return self.squared(size, image), None
        whole, canvas = super().layout(size, image, images)
        assert canvas is not None
        most = int(self.config.vision_aspect_ratio.removeprefix("anyres_max_"))
        ratio = math.sqrt(canvas.rows * canvas.cols / (most * self.side**2))
        if ratio <= 1.1:
            return whole, canvas
        (left, top), (right, bottom) = canvas.boxes[0, :2], canvas.boxes[-1, 2:]
        rows, cols = int(canvas.rows // ratio), int(canvas.cols // ratio)
        return whole, grid_over(rows, cols, (left, top, right, bottom), image=image, name="tiles")

    def squared(self, size: Size, image: int) -> Grid:
        """An image that stands in the middle of a square."""
        height, width = size
        longest = max(size)
        left, top = -((longest - width) // 2), -((longest - height) // 2)
        return grid_over(self.side, self.side, (left, top, left + longest, top + longest), image=image)

    def tower_view(self, inputs: Inputs, sizes: Sequence[Size]) -> View | None:
        """As in LLaVA-NeXT; of several images the square of the first."""
        if len(sizes) == 1:
            return super().tower_view(inputs, sizes)
        extra = int(self.has_class_token)
        return View(self.squared(sizes[0], 0), torch.arange(extra, extra + self.side**2))

    def projected(self, stage: Stage, prompt: Prompt) -> Tap:
        """As in LLaVA-NeXT, before pooling; of several images the square of the first."""
        if not prompt.together or len(prompt.images) == 1:
            return super().projected(stage, prompt)
        assert self.parts.projector is not None
        return Tap(stage, self.parts.projector, torch.arange(self.side**2), grid=prompt.grid)
