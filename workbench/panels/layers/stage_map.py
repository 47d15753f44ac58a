"""CKA of every stage of one result with every stage of another, as a map on paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.models.protocol import BANDS
from workbench.panels.layers.between import Named, matrix, matrix_table
from workbench.runs.parts import Box

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

LEFT, TOP, BOTTOM, BAR, RIGHT = 0.50, 0.22, 0.42, 0.08, 0.42
"""Inches: room for the axis at the left, above and below; the scale's width, and the room it takes."""
TALLEST = 1.75
"""Inches."""
STEP = 4
"""Stages from one written number to the next."""
NAMES = {"vision": "vis.", "projector": "proj.", "llm": "llm"}


class StageMap:
    """The map of the first result and the next that compares with it; of one result, of it with itself.

    Raises:
        Refusal: the results are not of the same images, or keep nothing to be compared with.
    """

    wide = False
    beside = 0.0

    def __init__(self, many: Sequence[Named]) -> None:
        pair = [many[0], many[0]] if len(many) == 1 else many
        self.first, self.second, self.alike = matrix(pair)

    def height(self, width: float) -> float:
        """Inches: the cells are square where the width lets them."""
        return TOP + self._size(width)[1] + BOTTOM

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw it at its place."""
        across, down = self._size(box.width)
        axes = box.axes(figure, LEFT, TOP, across, down)
        shade = axes.imshow(self.alike.cka.value, vmin=0, vmax=1, cmap="cividis", aspect="auto")
        _stages(axes, self.alike.second, "x")
        _stages(axes, self.alike.first, "y")
        axes.set_xlabel(self.second or "stage", labelpad=1)
        axes.set_ylabel(self.first or "stage", labelpad=2)
        axes.spines[:].set_visible(False)
        bar = box.axes(figure, LEFT + across + 0.08, TOP, BAR, down)
        figure.colorbar(shade, cax=bar)
        bar.tick_params(length=2, pad=1.5)
        words = f"linear CKA, n = {self.alike.images:,} {self.alike.of}"
        box.text(figure, LEFT, TOP - 0.06, words, va="baseline")
        box.letter(figure, letter)

    def numbers(self) -> DataFrame:
        """A row for every two stages."""
        return matrix_table(self.alike).assign(first=self.first, second=self.second)

    def _size(self, width: float) -> tuple[float, float]:
        across = width - LEFT - RIGHT
        down = min(across * len(self.alike.first) / len(self.alike.second), TALLEST)
        return across, down


def _stages(axes: Axes, stages: Sequence[str], axis: str) -> None:
    """Every fourth number of each band, and each band's name at its first stage."""
    places, texts = [], []
    for band in BANDS:
        here = [k for k, stage in enumerate(stages) if stage.split(" ")[0] == band]
        for number, k in enumerate(here):
            if number % STEP == 0:
                count = stages[k].rpartition(" ")[2]
                places.append(k)
                texts.append(NAMES[band] if not count.isdigit() else count)
    if axis == "x":
        axes.set_xticks(places, texts)
    else:
        axes.set_yticks(places, texts)
    axes.tick_params(length=2, pad=1.5)
