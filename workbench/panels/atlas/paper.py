"""The atlas on paper, with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.panels.atlas.colours import GRADUAL, MARKERS, WORDS, choices, groups, members, span
from workbench.panels.atlas.facets import Facet, Named, facets, limits
from workbench.runs.export import COLUMN, PAGE, paper_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    from matplotlib.figure import Figure

    many: list[Named] = list(results) if isinstance(results, Sequence) else [("", results)]
    drawn, bare = facets(many), [result for _, result in many]
    column = column if column in (able := choices(bare)) else able[0]
    width = COLUMN if len(drawn) == 1 else PAGE
    across = min(ACROSS, len(drawn))
    down = -(-len(drawn) // across)
    inside = 0.0 if drawn[0].shares is None else LABEL
    side = (width - 0.04 - across * inside - (across - 1) * GAP) / across - 0.02
    cell = (side + inside + GAP, side + TOP + inside + 0.04)
    with paper_style():
        every = [] if column in GRADUAL else groups(bare, column)
        lines = 2 if column in GRADUAL else _lines(every, width)
        height = down * cell[1] + LINE * lines + 0.08
        figure = Figure(figsize=(width, height))
        for k, facet in enumerate(drawn):
            left, top = (k % across) * cell[0] + 0.02 + inside, height - (k // across) * cell[1] - TOP
            axes = figure.add_axes((left / width, (top - side) / height, side / width, side / height))
            shade = _draw(axes, facet, column, bare, every)
            letter = len(drawn) > 1
            if letter:
                at = (left / width, (top + 0.05) / height)
                figure.text(*at, chr(ord("a") + k), weight="bold", fontsize=8, va="baseline")
            at = ((left + LETTER * letter) / width, (top + 0.05) / height)
            figure.text(*at, facet.title, fontsize=8, va="baseline")
        if column in GRADUAL:
            bar = figure.add_axes((0.04, 0.24 / height, 1.2 / width, 0.06 / height))
            figure.colorbar(shade, cax=bar, orientation="horizontal")
            bar.tick_params(length=2, pad=1.5)
            figure.text(0.04 + 1.3 / width, 0.24 / height, WORDS[column], fontsize=8)
        else:
            _legend(figure, every, width, height)
    return figure


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


def _lines(every: Sequence[Group], width: float) -> int:
    return len(_placed(every, width))


def _legend(figure: Figure, every: Sequence[Group], width: float, height: float) -> None:
    axes = figure.add_axes((0, 0, 1, 1))
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
