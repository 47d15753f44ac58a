"""What a linear reader still sees, on paper: test pictures as they were and as they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.errors import Refusal
from workbench.panels.layers.axis import Named, plain
from workbench.panels.layers.read_pictures import Column, columns, has_pictures
from workbench.panels.needs import known_stage
from workbench.runs.parts import LETTER

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.runs.parts import Box

MEASURE = "pixels R²"
STAGES = 6
"""That are shown where none is named."""
LEFT, TITLE, LINE, GAP, BETWEEN = 0.22, 0.20, 0.15, 0.05, 0.10
"""Inches: before the pictures; a line of names above them; one of numbers below; around a picture; and
between two results."""
LARGEST = 0.92
"""Inches: the side of a picture's place."""


class ReadPictures:
    """A row for each test picture, a column for each stage, beneath it the R² over all test images.

    Raises:
        Refusal: a result holds no such pictures, or not of a stage.
    """

    wide = True
    beside = 0.0

    def __init__(self, many: Sequence[Named], stages: Sequence[str] = (), pictures: int = 2) -> None:
        self.many = list(many)
        for name, result in self.many:
            if not has_pictures(result):
                raise Refusal(f"{name or 'This result'} holds no read pictures: no content was measured.")
            for stage in stages:
                known_stage(stage, [str(each) for each in result.tables["stages"]["stage"]], "picture of")
        self.blocks = [
            [(name, shown[:pictures]) for name, shown in columns(result, stages, STAGES)]
            for _, result in self.many
        ]

    def height(self, width: float) -> float:
        """Inches: one result below the other."""
        return sum(self._height(block, width) for block in self.blocks)

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw them at their place."""
        box.letter(figure, letter)
        top = 0.0
        for (name, _), block, values in zip(self.many, self.blocks, self._values(), strict=True):
            side = _side(block, box.width)
            start = top + self._named
            if self._named:
                box.text(figure, LEFT, top + LETTER, name)
            for number, (stage, pictures) in enumerate(block):
                left = LEFT + number * (side + GAP)
                box.text(figure, left + side / 2, start + LETTER, stage, ha="center")
                for row, pixels in enumerate(pictures):
                    down = start + TITLE + row * (side + GAP)
                    axes = box.axes(figure, left, down, side, side)
                    axes.imshow(pixels, interpolation="nearest")
                    axes.set_axis_off()
                beneath = start + TITLE + len(pictures) * (side + GAP)
                box.text(figure, left + side / 2, beneath, values[number], ha="center")
            top += self._height(block, box.width)

    def numbers(self) -> DataFrame:
        """The reader's R² of all test images, with its interval, at each stage that is shown."""
        import pandas as pd

        tables = []
        for (name, result), block in zip(self.many, self.blocks, strict=True):
            curves = result.tables["curves"]
            shown = [stage for stage, _ in block]
            rows = curves[(curves["measure"] == MEASURE) & curves["stage"].isin(shown)]
            tables.append(rows.assign(run=name)[["run", *rows.columns]])
        return pd.concat(tables, ignore_index=True)

    @property
    def _named(self) -> float:
        """Inches above a block for the name of its result."""
        return TITLE if len(self.many) > 1 else 0.0

    def _height(self, block: Sequence[Column], width: float) -> float:
        rows = len(block[0][1])
        return self._named + TITLE + rows * (_side(block, width) + GAP) + LINE + BETWEEN

    def _values(self) -> list[list[str]]:
        """What stands beneath each column of each block."""
        found = []
        for (_, result), block in zip(self.many, self.blocks, strict=True):
            curves = result.tables["curves"]
            held = curves[curves["measure"] == MEASURE].set_index("stage")["value"]
            found.append([f"R² {plain(held[stage])}" if stage in held.index else "" for stage, _ in block])
        return found


def _side(block: Sequence[object], width: float) -> float:
    """Inches: the side of a picture's place."""
    return min(LARGEST, (width - LEFT) / len(block) - GAP)
