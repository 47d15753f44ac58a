"""LLaVA-NeXT and LLaVA-OneVision: a thumbnail, then tiles of a padded canvas, unpadded, with newlines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from workbench.models.grids import Edges, Part, Rectangle, edges, grid_of, pooled
from workbench.models.hf.family import Family, Inputs, Size
from workbench.models.hf.tiles import assembled
from workbench.models.protocol import Grid, Prompt, Stage, Tap, View


@dataclass(frozen=True)
class Canvas:
    """The patches of an image's tiles put together, or some rows and columns of them.

    y and x: where rows and columns begin and end on the image; places: int64 (rows, columns), where each
    patch stands in the sequence of the tiles' patches.
    """

    y: Edges
    x: Edges
    places: Tensor

    def grid(self, image: int = 0) -> Grid:
        """The rectangles of its patches."""
        return grid_of(self.y, self.x, image=image, name="tiles")


class LlavaNext(Family):
    """The image keeps its shape on a canvas of tiles; rows and columns of mere padding are taken out again.

    Tokens come as the thumbnail's, then those of the canvas with a newline after each row.
    """

    model_types: ClassVar[tuple[str, ...]] = ("llava_next", "llava_next_video")
    scales_logits: ClassVar[bool] = False

    @property
    def side(self) -> int:
        """Patches on a side of a tile, and of the thumbnail."""
        vision = self.config.vision_config
        return int(vision.image_size) // int(vision.patch_size)

    @property
    def seen(self) -> float:
        """The share of a tile's side that its patches cover: what is left over at its end is not seen."""
        vision = self.config.vision_config
        return self.side * float(vision.patch_size) / float(vision.image_size)

    def canvas(self, size: Size) -> Canvas:
        """All patches of the canvas, padding included, for an image of this size."""
        from transformers.image_processing_utils import get_patch_output_size, select_best_resolution
        from transformers.image_utils import ChannelDimension

        tile = int(self.config.vision_config.image_size)
        down, across = select_best_resolution(size, self.config.image_grid_pinpoints)
        blank = np.broadcast_to(0, (3, *size))
        inner = get_patch_output_size(blank, (down, across), ChannelDimension.FIRST)
        rows, cols = down // tile, across // tile
        shape = (rows * self.side, cols * self.side)

        def along(axis: int, length: int, tiles: int) -> Edges:
            scale, before = size[axis] / inner[axis], (length - inner[axis]) // 2
            return edges(-before * scale, (length - before) * scale, self.side, tiles=tiles, seen=self.seen)

        places = assembled(rows, cols, self.side, self.side).view(shape)
        return Canvas(along(0, down, rows), along(1, across, cols), places)

    def unpadded(self, size: Size) -> Canvas:
        """What the model keeps of the canvas."""
        from transformers.models.llava_next.modeling_llava_next import unpad_image

        canvas = self.canvas(size)
        rows, cols = canvas.places.shape
        kept = unpad_image(torch.arange(rows * cols).view(1, rows, cols), size)[0]
        down, across = kept[:, 0] // cols, kept[0] % cols
        return Canvas(canvas.y[down.numpy()], canvas.x[across.numpy()], canvas.places[down][:, across])

    def picture(self, box: Rectangle, image: int, name: Part) -> Grid:
        """The patches of a picture of its own that shows this part of an image."""
        y = edges(box[1], box[3], self.side, seen=self.seen)
        x = edges(box[0], box[2], self.side, seen=self.seen)
        return grid_of(y, x, image=image, name=name)

    def layout(self, size: Size, image: int, images: int) -> tuple[Grid, Grid | None]:
        """The grid of one of so many images as a whole, and that of its canvas, None where it has none."""
        whole = self.picture((0, 0, size[1], size[0]), image, "thumbnail")
        return whole, self.unpadded(size).grid(image)

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
        canvas, cells, extra = self.canvas(sizes[0]), self.side**2, int(self.has_class_token)
        places = canvas.places.reshape(-1)
        # The thumbnail comes first, and every picture may have a class token before its patches.
        return View(canvas.grid(), (places // cells + 1) * (cells + extra) + extra + places % cells)

    def projected(self, stage: Stage, prompt: Prompt) -> Tap:
        """The patches that are kept of the first image's canvas."""
        assert self.parts.projector is not None
        canvas = self.unpadded(prompt.images[0].shape[:2])
        return Tap(stage, self.parts.projector, canvas.places.reshape(-1) + self.side**2, grid=canvas.grid())


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
        kept = self.unpadded(size)
        y, x = pooled(kept.y, int(canvas.rows // ratio)), pooled(kept.x, int(canvas.cols // ratio))
        return whole, grid_of(y, x, image=image, name="tiles")

    def squared(self, size: Size, image: int) -> Grid:
        """An image that stands in the middle of a square."""
        longest = max(size)
        top, left = -((longest - size[0]) // 2), -((longest - size[1]) // 2)
        return self.picture((left, top, left + longest, top + longest), image, "image")

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
