"""A figure put together from parts: each keeps to its own place, and all of a figure align."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from workbench.runs.export import PAGE, paper_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

LETTER = 0.04
"""Inches of a part's letter from the left and the upper edge of its place."""


@dataclass(frozen=True)
class Box:
    """A place on a figure in inches; left and top from the figure's own edges."""

    left: float
    top: float
    width: float
    height: float

    def axes(self, figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
        """Axes of a size inside the place, left and top from the place's edges, in inches."""
        across, down = figure.get_size_inches()
        x, y = self.left + left, down - self.top - top - height
        return figure.add_axes((x / across, y / down, width / across, height / down))

    def text(self, figure: Figure, left: float, top: float, words: str, **look: Any) -> None:
        """Words of 8 points, left and top from the place's edges in inches; by default hung from there."""
        across, down = figure.get_size_inches()
        where = ((self.left + left) / across, 1 - (self.top + top) / down)
        figure.text(*where, words, **{"fontsize": 8, "va": "top", **look})

    def letter(self, figure: Figure, letter: str) -> None:
        """The part's letter in the upper left corner, where there is one."""
        if letter:
            self.text(figure, LETTER, LETTER, letter, weight="bold")


class Part(Protocol):
    """One panel of a figure for paper."""

    @property
    def wide(self) -> bool:
        """Whether it takes the whole width of a page; two others stand side by side on it."""
        ...

    @property
    def beside(self) -> float:
        """Inches that words at its right end take; all parts of a figure get the most that one needs."""
        ...

    def height(self, width: float) -> float:
        """Inches that it takes downwards where it is so many inches wide. Within `paper_style`."""
        ...

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw it at its place. Within `paper_style`."""
        ...

    def numbers(self) -> DataFrame:
        """What it shows, tidy, a row for each thing drawn."""
        ...


@dataclass(frozen=True)
class Table:
    """A table beside a figure: tidy numbers, and the same as text for reading."""

    numbers: DataFrame
    written: DataFrame

    def markdown(self) -> str:
        """The text as a table of Markdown."""
        names = [str(name) for name in self.written.columns]
        cells = [[cell.replace("|", "\\|") for cell in row] for row in self.written.to_numpy().tolist()]
        lines = [names, ["---"] * len(names), *cells]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def lettered(count: int) -> list[str]:
    """The letters of a figure's parts; a part alone has none."""
    return [_letter(number) for number in range(count)] if count > 1 else [""] * count


def composed(parts: Sequence[Part], width: float) -> Figure:
    """The parts in reading order: two side by side on a page, one below the other in a column.

    Raises:
        ValueError: there is no part, or one is wider than a column.
    """
    from matplotlib.figure import Figure

    if not parts or (width < PAGE and any(part.wide for part in parts)):
        raise ValueError("a figure needs at least one part, and a page's width where one is wide")
    with paper_style():
        rows = _rows(parts, 2 if width >= PAGE and len(parts) > 1 else 1)
        beside = max((part.beside for part in parts if not part.wide), default=0.0)
        heights = [max(part.height(width / len(row)) for part in row if part) for row in rows]
        figure = Figure(figsize=(width, sum(heights)))
        letters, top = iter(lettered(len(parts))), 0.0
        for row, height in zip(rows, heights, strict=True):
            cell = width / len(row)
            for column, part in enumerate(row):
                if part:
                    part.draw(figure, Box(column * cell, top, cell, height), next(letters), beside)
            top += height
    return figure


def _rows(parts: Sequence[Part], columns: int) -> list[list[Part | None]]:
    """The parts in rows; the last place of a row is empty where the next part is wide, or there is none."""
    rows: list[list[Part | None]] = []
    for part in parts:
        if part.wide or columns == 1:
            rows.append([part])
        elif rows and rows[-1][-1] is None:
            rows[-1][rows[-1].index(None)] = part
        else:
            rows.append([part, *[None] * (columns - 1)])
    return rows


def _letter(number: int) -> str:
    """The letters a to z, then aa, ab …"""
    before, here = divmod(number, 26)
    return (_letter(before - 1) if before else "") + chr(ord("a") + here)
