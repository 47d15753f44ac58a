"""MiniCPM-V 4.6 and LFM2-VL: tiles of an image and the whole of it, each at a shape of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from workbench.models.grids import Rectangle, grid_over
from workbench.models.hf.family import Family, Inputs, Size
from workbench.models.hf.tiles import assembled
from workbench.models.protocol import Grid, View


class ShapedTiles(Family):
    """The image is stretched over its tiles, if it is cut; all tiles of an image have one shape.

    The projector is called for each picture, so it is no stage of its own: what it makes is what enters the
    first layer.
    """

    whole_first: ClassVar[bool] = False

    def __init__(self, network: Any, processor: Any) -> None:
        super().__init__(network, processor)
        self.parts = replace(self.parts, projector=None)

    def arranged(self, size: Size) -> Size:
        """Rows and columns of the tiles of an image of this size; one of each where it is not cut."""
        raise NotImplementedError

    def shapes(self, inputs: Inputs) -> list[Size]:
        """Rows and columns of the patches of each picture, tile or whole."""
        raise NotImplementedError

    @property
    def shows_whole(self) -> bool:
        """Whether an image that is cut is shown as a whole besides."""
        return bool(getattr(self._image_processor, "use_thumbnail", True))

    def grids(self, inputs: Inputs, sizes: Sequence[Size]) -> list[Grid]:
        """For each image its tiles put together and the whole, or the whole alone."""
        side, shapes = self.merged, iter(self.shapes(inputs))
        out = []
        for k, size in enumerate(sizes):
            (rows, cols), box = self.arranged(size), (0, 0, size[1], size[0])
            if rows * cols == 1:
                down, across = next(shapes)
                out.append(grid_over(down // side, across // side, box, image=k))
                continue
            order = ["tiles", "thumbnail"] if self.shows_whole else ["tiles"]
            for part in reversed(order) if self.whole_first else order:
                if part == "tiles":
                    down, across = [next(shapes) for _ in range(rows * cols)][0]
                    out.append(self.laid((rows, cols), (down // side, across // side), box, k))
                else:
                    down, across = next(shapes)
                    out.append(grid_over(down // side, across // side, box, image=k, name="thumbnail"))
        return out

    def laid(self, tiles: Size, cells: Size, box: Rectangle, image: int = 0) -> Grid:
        """The grid of an image's tiles put together."""
        return grid_over(tiles[0] * cells[0], tiles[1] * cells[1], box, image=image, name="tiles")

    def views(self, inputs: Inputs, sizes: Sequence[Size]) -> list[View]:
        """As by convention, of each image its tiles first, their tokens in the order of the image's rows."""

        def sorted_(view: View) -> View:
            if view.grid.part != "tiles":
                return view
            rows, cols = self.arranged(sizes[view.grid.image])
            order = assembled(rows, cols, view.grid.rows // rows, view.grid.cols // cols)
            return View(view.grid, view.positions[order])

        found = [sorted_(view) for view in super().views(inputs, sizes)]
        return sorted(found, key=lambda view: (view.grid.image, view.grid.part == "thumbnail"))


class MiniCPM(ShapedTiles):
    """The whole image stands before its tiles. The tower merges patches half way, so it sees no one grid."""

    model_types: ClassVar[tuple[str, ...]] = ("minicpmv4_6", "minicpmv4_7")
    whole_first = True
    batch_axis = 3
    """All pictures lie side by side in one (1, channels, patch, patches · patch)."""

    @property
    def merged(self) -> int:
        """Patches on a side of what becomes one visual token."""
        return 2 if self._image_processor.downsample_mode == "4x" else 4

    def arranged(self, size: Size) -> Size:
        """As the processor cuts it."""
        settings = self._image_processor
        if not settings.slice_mode:
            return 1, 1
        found = settings.get_sliced_grid(size, settings.max_slice_nums, settings.scale_resolution)
        return (found[0], found[1]) if found else (1, 1)

    def shapes(self, inputs: Inputs) -> list[Size]:
        """As the processor tells them."""
        return [(rows, cols) for rows, cols in inputs["target_sizes"].tolist()]

    def tower_view(self, inputs: Inputs, sizes: Sequence[Size]) -> View | None:
        """Not known: see above."""
        return None


class Lfm2(ShapedTiles):
    """The whole image stands after its tiles; in the tower every picture is filled up to one length."""

    model_types: ClassVar[tuple[str, ...]] = ("lfm2_vl",)

    @property
    def merged(self) -> int:
        """Patches on a side of what becomes one visual token."""
        return int(self.config.downsample_factor)

    def arranged(self, size: Size) -> Size:
        """As the processor cuts it."""
        shape: Size = self._image_processor.tiles(size)
        return shape

    def shapes(self, inputs: Inputs) -> list[Size]:
        """As the processor tells them."""
        return [(rows, cols) for rows, cols in inputs["spatial_shapes"].tolist()]

    def tower_view(self, inputs: Inputs, sizes: Sequence[Size]) -> View | None:
        """The patches of the first image's tiles, or of the one picture that is all of it."""
        (rows, cols), (down, across) = self.arranged(sizes[0]), self.shapes(inputs)[0]
        box = (0, 0, sizes[0][1], sizes[0][0])
        grid = grid_over(down, across, box)
        if rows * cols > 1:
            grid = self.laid((rows, cols), (down, across), box)
        return View(grid, assembled(rows, cols, down, across, tokens=self.pixels(inputs).shape[1]))
