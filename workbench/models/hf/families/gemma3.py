"""Gemma 3: the image as one square, and where pan-and-scan is on, crops of a long image after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from workbench.models.grids import Edges, Rectangle, edges, grid_of, grid_over
from workbench.models.hf.family import Family, Inputs, Size
from workbench.models.hf.tiles import assembled
from workbench.models.protocol import Grid, Prompt, Stage, Tap, View


class Gemma3(Family):
    """The crops of an image lie side by side, or one above the other, and cover it: they make one grid.

    They are off, as published, unless the settings of the image processor say `do_pan_and_scan`; where those
    leave out how to crop, the defaults of transformers hold. (Transformers itself lets its default, off, win
    over the folder's settings: that the folder's are kept is our choice.)
    """

    model_types: ClassVar[tuple[str, ...]] = ("gemma3",)

    def __init__(self, network: Any, processor: Any) -> None:
        super().__init__(network, processor)
        own = {name: getattr(self._image_processor, name, None) for name in processor.images_kwargs}
        said = {name: value for name, value in own.items() if value is not None}
        processor.images_kwargs = processor.images_kwargs | said

    def crops(self, size: Size) -> tuple[Sequence[Size], Size]:
        """The sizes of the crops of an image of this size, and how many rows and columns they make."""
        settings = self.processor.images_kwargs
        if not settings["do_pan_and_scan"]:
            return [], (0, 0)
        how = {name: value for name, value in settings.items() if name.startswith("pan_and_scan_")}
        made = self._image_processor.pan_and_scan(np.broadcast_to(np.uint8(0), (3, *size)), **how)
        shape = (1, len(made)) if size[1] >= size[0] else (len(made), 1)
        return [crop.shape[1:] for crop in made], shape

    def crop_edges(self, size: Size, down: int, across: int) -> tuple[Edges, Edges]:
        """Rows and columns of all crops together, so many cells of each; the last crop may be smaller."""
        made, (_, cols) = self.crops(size)

        def along(lengths: Sequence[int], cells: int) -> Edges:
            ends = np.cumsum(lengths)
            pairs = zip(ends - lengths, ends, strict=True)
            return np.concatenate([edges(float(start), float(end), cells) for start, end in pairs])

        return along([crop[0] for crop in made[::cols]], down), along([c[1] for c in made[:cols]], across)

    def cells(self, inputs: Inputs) -> Size:
        """Rows and columns of the visual tokens of one square."""
        side = int(self.config.mm_tokens_per_image**0.5)
        return side, side

    def grids(self, inputs: Inputs, sizes: Sequence[Size]) -> list[Grid]:
        """For each image its square and, where there are any, its crops put together."""
        down, across = self.cells(inputs)
        out = []
        for k, size in enumerate(sizes):
            whole: Rectangle = (0, 0, size[1], size[0])
            several = bool(self.crops(size)[0])
            out.append(grid_over(down, across, whole, image=k, name="thumbnail" if several else "image"))
            if several:
                out.append(grid_of(*self.crop_edges(size, down, across), image=k, name="tiles"))
        return out

    def views(self, inputs: Inputs, sizes: Sequence[Size]) -> list[View]:
        """As by convention, of each image its crops first, their tokens in the order of the image's rows."""
        down, across = self.cells(inputs)
        out: list[View] = []
        for view in super().views(inputs, sizes):
            if view.grid.part == "tiles":
                order = assembled(*self.crops(sizes[view.grid.image])[1], down, across)
                out.insert(-1, View(view.grid, view.positions[order]))
            else:
                out.append(view)
        return out

    def tower_view(self, inputs: Inputs, sizes: Sequence[Size]) -> View | None:
        """The patches of the first image: of its crops, if there are any, after those of its square."""
        size, (down, across) = sizes[0], self.patches(inputs)
        if not self.crops(size)[0]:
            return View(grid_over(down, across, (0, 0, size[1], size[0])), torch.arange(down * across))
        grid = grid_of(*self.crop_edges(size, down, across), name="tiles")
        return View(grid, down * across + assembled(*self.crops(size)[1], down, across))

    def projected(self, stage: Stage, prompt: Prompt) -> Tap:
        """The tokens of the first image's grid."""
        assert self.parts.projector is not None
        # The projector keeps the order of the sequence, in which the first image's square comes first.
        first = [v.positions for v in prompt.others if v.grid.image == 0]
        places = torch.cat([*first, prompt.visual]).argsort().argsort()[-len(prompt.visual) :]
        return Tap(stage, self.parts.projector, places, grid=prompt.grid)
