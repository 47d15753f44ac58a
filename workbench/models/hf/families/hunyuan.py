"""HunYuan-VL: a token of its own before and after an image, and one at the end of each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from workbench.models.hf.family import Family, Inputs, Size
from workbench.models.protocol import Prompt, Stage, Tap, View


class HunYuan(Family):
    """Those tokens stand where image tokens do, and belong to no grid."""

    model_types: ClassVar[tuple[str, ...]] = ("hunyuan_vl",)

    def views(self, inputs: Inputs, sizes: Sequence[Size]) -> list[View]:
        """The patches without what frames them."""
        places, shapes = self.visual_positions(inputs), self.grids(inputs, sizes)
        lengths = [grid.rows * (grid.cols + 1) + 2 for grid in shapes]
        if sum(lengths) != len(places):
            raise self.misplaced(len(places), shapes)
        return [
            View(grid, own[1:-1].view(grid.rows, grid.cols + 1)[:, :-1].flatten())
            for grid, own in zip(shapes, places.split(lengths), strict=True)
        ]

    def projected(self, stage: Stage, prompt: Prompt) -> Tap:
        """As the language model's tokens of the first image, which come first."""
        assert self.parts.projector is not None
        return Tap(stage, self.parts.projector, prompt.visual - prompt.visual[0] + 1, grid=prompt.grid)
