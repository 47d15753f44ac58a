"""MiniCPM-V 4.6: the whole image first, at its own shape, and then slices of it, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from workbench.models.grids import grid_over
from workbench.models.hf.family import Family, Inputs, Size
from workbench.models.hf.tiles import assembled
from workbench.models.protocol import Grid, View


class MiniCPM(Family):
    """Whole and slices have shapes of their own; the image is stretched over its slices, if it is cut.

    The tower merges patches half way, so that its blocks do not see one grid: its tokens are not placed. Its
    merger makes a list of pictures and is no stage of its own: what it makes is what enters the first layer.
    """

    model_types: ClassVar[tuple[str, ...]] = ("minicpmv4_6",)

    def __init__(self, network: Any, processor: Any) -> None:
        super().__init__(network, processor)
        self.parts = replace(self.parts, projector=None)

    @property
    def merged(self) -> int:
        """Patches on a side of what becomes one visual token."""
        return 2 if self._image_processor.downsample_mode == "4x" else 4

    def sliced(self, size: Size) -> Size:
        """Rows and columns of the slices of an image of this size; one of each where it is not cut."""
        settings = self._image_processor
        if not settings.slice_mode:
            return 1, 1
        found = settings.get_sliced_grid(size, settings.max_slice_nums, settings.scale_resolution)
        return (found[0], found[1]) if found else (1, 1)

    def grids(self, inputs: Inputs, sizes: Sequence[Size]) -> list[Grid]:
        """For each image the whole and its slices put together, or the whole alone."""
        side, shapes = self.merged, iter(inputs["target_sizes"].tolist())
        out = []
        for k, size in enumerate(sizes):
            (rows, cols), box = self.sliced(size), (0, 0, size[1], size[0])
            down, across = (length // side for length in next(shapes))
            out.append(grid_over(down, across, box, image=k, name="image" if rows * cols == 1 else "thumbnail"))
            if rows * cols > 1:
                # All slices of an image have one shape.
                down, across = [[length // side for length in next(shapes)] for _ in range(rows * cols)][0]
                out.append(grid_over(rows * down, cols * across, box, image=k, name="tiles"))
        return out

    def views(self, inputs: Inputs, sizes: Sequence[Size]) -> list[View]:
        """As by convention, of each image its slices first, their tokens in the order of the image's rows."""

        def sorted_(view: View) -> View:
            if view.grid.part != "tiles":
                return view
            rows, cols = self.sliced(sizes[view.grid.image])
            order = assembled(rows, cols, view.grid.rows // rows, view.grid.cols // cols)
            return View(view.grid, view.positions[order])

        found = [sorted_(view) for view in super().views(inputs, sizes)]
        return sorted(found, key=lambda view: (view.grid.image, view.grid.part == "thumbnail"))

    def tower_view(self, inputs: Inputs, sizes: Sequence[Size]) -> View | None:
        """Not known: see above."""
        return None
