"""The atlas on paper, with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from workbench.panels.atlas.colours import GRADUAL, MARKERS, WORDS, choices, groups, members, span
from workbench.panels.atlas.facets import Facet, Named, facets, limits
from workbench.runs.export import COLUMN, PAGE
from workbench.runs.parts import Box, composed, lettered

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.panels.atlas.colours import Group
    from workbench.runs.result import Result

ACROSS = 3
TOP, LABEL, GAP, LINE = 0.20, 0.22, 0.12, 0.15
"""Inches: room above a facet, for an axis' name, between two, for a line of the legend."""
SIZE = 3.2
"""Square points: a marker's area."""
MANY = 1500
"""Points of a facet above which markers are bitmaps inside a vector file, so that it stays small."""
LETTER = 0.14
"""Inches that a panel's letter takes."""


def paper(results: Result | Sequence[Named], column: str = "") -> Figure:
    """The planes as on the screen: one in a column of 3.25 in, more on 6.75 in with panel letters."""
    planes = Planes(list(results) if isinstance(results, Sequence) else [("", results)], column)
    return composed([planes], PAGE if planes.wide else COLUMN)


class Planes:
    """The same as a part of a figure: one letter for all planes, or one for each where it stands alone.

    column: what the points are coloured by; what the results have first where it is none of theirs.
    """

    beside = 0.0

    def __init__(self, many: Sequence[Named], column: str = "") -> None:
        self.many, self.facets, self.bare = list(many), facets(many), [result for _, result in many]
        able = choices(self.bare)
        self.column = column if column in able else able[0]
        self.wide = len(self.facets) > 1
        self.every = [] if self.column in GRADUAL else groups(self.bare, self.column)

    def height(self, width: float) -> float:
        """Inches: the rows of planes and the legend below them."""
        across, _, cell = self._cells(width)
        lines = 2 if self.column in GRADUAL else len(_placed(self.every, width))
        return -(-len(self.facets) // across) * cell[1] + LINE * lines + 0.08

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw them at their place."""
        across, side, cell = self._cells(box.width)
        letters = [letter] if letter else lettered(len(self.facets))
        shade: Any = None
        for k, (facet, here) in enumerate(zip_longest(self.facets, letters)):
            left, down = (k % across) * cell[0] + 0.02 + self._inside, (k // across) * cell[1] + TOP
            axes = box.axes(figure, left, down, side, side)
            shade = _draw(axes, facet, self.column, self.bare, self.every)
            if here:
                box.text(figure, left, down - 0.05, here, weight="bold", va="baseline")
            aside = LETTER * (1 + 0.5 * (len(here) - 1)) if here else 0.0
            box.text(figure, left + aside, down - 0.05, facet.title, va="baseline")
        bottom = self.height(box.width)
        if self.column in GRADUAL:
            bar = box.axes(figure, 0.04, bottom - 0.30, 1.2, 0.06)
            figure.colorbar(shade, cax=bar, orientation="horizontal")
            bar.tick_params(length=2, pad=1.5)
            box.text(figure, 1.34, bottom - 0.24, WORDS[self.column], va="baseline")
        else:
            lines = LINE * len(_placed(self.every, box.width)) + 0.08
            _legend(box.axes(figure, 0, bottom - lines, box.width, lines), self.every, box.width, lines)

    def numbers(self) -> DataFrame:
        """Every point, with the name of its run and of its plane."""
        import pandas as pd

        tables = [(facet.result, facet.points) for facet in self.facets]
        named = [points.assign(run=name)[["run", *points.columns]] for name, points in tables]
        return pd.concat(named, ignore_index=True)

    @property
    def _inside(self) -> float:
        """Inches inside a plane's place for the names of its axes."""
        return 0.0 if self.facets[0].shares is None else LABEL

    def _cells(self, width: float) -> tuple[int, float, tuple[float, float]]:
        """How many planes stand side by side, the side of one, and how far the next is across and down."""
        across = min(ACROSS, len(self.facets))
        side = (width - 0.04 - across * self._inside - (across - 1) * GAP) / across - 0.02
        return across, side, (side + self._inside + GAP, side + TOP + self._inside + 0.04)


def _draw(axes: Axes, facet: Facet, column: str, bare: Sequence[Result], every: Sequence[Group]) -> Any:
    points, shade = facet.points, None
    look: dict[str, Any] = {"s": SIZE, "linewidths": 0, "alpha": 0.85, "rasterized": len(points) > MANY}
    if column in GRADUAL:
        low, high = span(bare, column)
        shade = axes.scatter(
            points["x"], points["y"], c=points[column], cmap="cividis", vmin=low, vmax=high, **look
        )
    else:
        for group, inside in members(points, column, every):
            some = points[inside]
            colour, marker = group.colour("light"), MARKERS[group.shape]
            axes.scatter(some["x"], some["y"], color=colour, marker=marker, **look)
    (left, right), (low, high) = limits(facet)
    axes.set(xlim=(left, right), ylim=(low, high), xticks=[], yticks=[], aspect="equal")
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("0.75")
    axes.set_xlabel(facet.axis(0), labelpad=2)
    axes.set_ylabel(facet.axis(1), labelpad=2)
    return shade


def _placed(every: Sequence[Group], width: float) -> list[list[tuple[float, Group]]]:
    """The legend's names, line by line, each with its place in inches from the left."""
    from matplotlib.textpath import TextPath

    lines: list[list[tuple[float, Group]]] = [[]]
    at = 0.04
    for group in every:
        wide = float(TextPath((0, 0), group.name, size=8).get_extents().width) / 72 + 0.24
        if lines[-1] and at + wide > width:
            lines.append([])
            at = 0.04
        lines[-1].append((at, group))
        at += wide
    return lines


def _legend(axes: Axes, every: Sequence[Group], width: float, height: float) -> None:
    """The names of the groups on axes of so many inches."""
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.patch.set_alpha(0)
    lines = _placed(every, width)
    for number, line in enumerate(lines):
        y = LINE * (len(lines) - number - 1) + 0.1
        for at, group in line:
            axes.scatter(
                [at + 0.05], [y], s=12, color=group.colour("light"), marker=MARKERS[group.shape], linewidths=0
            )
            axes.text(at + 0.12, y, group.name, fontsize=8, va="center_baseline")
