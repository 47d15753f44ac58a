"""Images that a model cuts into tiles: how the tokens of the tiles make one grid again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from workbench.models.grids import Part, Rectangle, grid_over
from workbench.models.hf.family import Family, Inputs, Size
from workbench.models.protocol import Grid, Prompt, Stage, Tap, View


def assembled(
    rows: int, cols: int, down: int, across: int, *, tokens: int | None = None, first: int = 0
) -> Tensor:
    """Where each cell of tiles put together, row by row, stands in the sequence of the tiles' tokens, int64.

    rows, cols: of tiles, which follow one another row by row; down, across: cells of one tile; tokens: of
    one tile, where there are more than its cells; first: which of them is its first cell.
    """
    starts = torch.arange(rows * cols) * (down * across if tokens is None else tokens) + first
    cells = starts.view(rows, cols, 1, 1) + torch.arange(down * across).view(down, across)
    return cells.permute(0, 2, 1, 3).reshape(-1)


@dataclass(frozen=True)
class Cut:
    """How one image was cut: rows × cols tiles, which together show `box` in pixels of the image."""

    rows: int
    cols: int
    box: Rectangle

    @property
    def several(self) -> bool:
        """Whether there is more than one tile, and so a thumbnail."""
        return self.rows * self.cols > 1

    @property
    def part(self) -> Part:
        """What of the image the tiles' grid shows."""
        return "tiles" if self.several else "image"


class Tiled(Family):
    """Tiles row by row and, where there are several, a thumbnail of the whole image, all of one size."""

    thumbnail_first: ClassVar[bool] = False
    """Whether the thumbnail stands before the tiles of its image, not after them."""

    def cuts(self, inputs: Inputs, sizes: Sequence[Size]) -> list[Cut]:
        """How each image of the first sequence was cut; sizes: of the images in it, in order."""
        raise NotImplementedError

    def cells(self, inputs: Inputs) -> Size:
        """Rows and columns of the visual tokens of one tile."""
        rows, cols = self.patches(inputs)
        return rows // self.merged, cols // self.merged

    def laid(self, cut: Cut, down: int, across: int, image: int = 0) -> Grid:
        """The grid of an image's tiles put together, of so many rows and columns of cells each."""
        return grid_over(cut.rows * down, cut.cols * across, cut.box, image=image, name=cut.part)

    def grids(self, inputs: Inputs, sizes: Sequence[Size]) -> list[Grid]:
        """For each image its tiles put together and the thumbnail, or the one tile that is all of it."""
        down, across = self.cells(inputs)
        out: list[Grid] = []
        for k, (cut, (height, width)) in enumerate(zip(self.cuts(inputs, sizes), sizes, strict=True)):
            own = [self.laid(cut, down, across, k)]
            if cut.several:
                own.append(grid_over(down, across, (0, 0, width, height), image=k, name="thumbnail"))
            out += reversed(own) if self.thumbnail_first else own
        return out

    def views(self, inputs: Inputs, sizes: Sequence[Size]) -> list[View]:
        """As by convention, of each image its tiles first, their tokens in the order of the image's rows."""
        cuts, (down, across) = self.cuts(inputs, sizes), self.cells(inputs)

        def sorted_(view: View) -> View:
            if view.grid.part != "tiles":
                return view
            cut = cuts[view.grid.image]
            return View(view.grid, view.positions[assembled(cut.rows, cut.cols, down, across)])

        found = [sorted_(view) for view in super().views(inputs, sizes)]
        return sorted(found, key=lambda view: (view.grid.image, view.grid.part == "thumbnail"))

    @property
    def first_patch(self) -> int:
        """Which of the tower's tokens of a tile is its first patch."""
        return int(self.has_class_token)

    def tower_view(self, inputs: Inputs, sizes: Sequence[Size]) -> View | None:
        """The patches of the first image's tiles; its thumbnail's are left out."""
        cut, (rows, cols) = self.cuts(inputs, sizes)[0], self.patches(inputs)
        tokens = rows * cols + int(self.has_class_token)
        before = tokens if self.thumbnail_first and cut.several else 0
        places = assembled(cut.rows, cut.cols, rows, cols, tokens=tokens, first=before + self.first_patch)
        return View(self.laid(cut, rows, cols), places)

    def projected(self, stage: Stage, prompt: Prompt) -> Tap:
        """The tokens of the first image's tiles, in the order of its rows."""
        assert self.parts.projector is not None
        # The projector keeps the order of the sequence, where no other image's come before the first's.
        own = [view.positions for view in prompt.others if view.grid.image == prompt.grid.image]
        places = torch.cat([prompt.visual, *own]).argsort().argsort()[: len(prompt.visual)]
        return Tap(stage, self.parts.projector, places, grid=prompt.grid)
