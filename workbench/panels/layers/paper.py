"""The curves on paper, with matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.panels.layers.axis import (
    Chart,
    Named,
    chart_of,
    drawn_of,
    groups_in,
    named,
)
from workbench.panels.layers.layout import apart, sparse_ticks
from workbench.panels.layers.marks import (
    MOST_GUIDES,
    EndLabel,
    axis_title,
    colour_of,
    dash_of,
    end_labels,
    limits,
    marker_of,
    scaled,
)
from workbench.runs.export import COLUMN, PAGE
from workbench.runs.parts import Box, Part, composed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.runs.result import Result

MOST_PANELS = 4
LEFT, TOP, BOTTOM, PANEL = 0.55, 0.22, 0.42, 1.75
"""Inches: room for the axis at the left, bands above, stages below; a panel's height."""
TITLE = 0.145
"""Inches from the left edge to the line that the axis' title stands on, whatever its numbers take."""
LINE, CHARACTER = 0.13, 0.071
"""Inches: height of a line of a label, width of a digit."""
GAP = 0.2
"""Lines: between two labels."""
MARKER, MARKED, BASELINE = 3.2, 9.0, 2.9
"""Points: size of a curve's marker, room for it before the curve's name, and from its middle down to the
baseline of the name."""
MOST_MARKERS = 18
"""Along a curve; a deeper model has one at every second, third ... stage."""


def paper(results: Result | Sequence[Named], groups: Sequence[str] | None = None) -> Figure:
    """The same curves for print: one group in a column of 3.25 in, more on 6.75 in with panel letters.

    Args:
        results: one result, or (name, result) pairs laid over each other.
        groups: which groups; by default the first four that the results hold.

    Raises:
        Refusal: when none of the results holds a group that was asked for.
    """
    many = named(results)
    wanted = list(groups) if groups is not None else groups_in(many)[:MOST_PANELS]
    parts: list[Part] = [Curves(many, name) for name in wanted]
    return composed(parts, COLUMN if len(parts) == 1 else PAGE)


class Curves:
    """One group's curves as a part of a figure.

    Raises:
        Refusal: an unknown group, or one that none of the results holds.
    """

    wide = False

    def __init__(self, many: Sequence[Named], group: str) -> None:
        self.many = drawn_of(many, group)
        self.chart = chart_of(self.many, group, [title for title, _ in many])

    @property
    def beside(self) -> float:
        """Inches that the longest line at a right end takes."""
        return _room_for_labels(self.chart)

    def height(self, width: float) -> float:
        """Inches: the same for every group."""
        return TOP + PANEL + BOTTOM

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw them at their place."""
        across = box.width - LEFT - beside
        _draw(box.axes(figure, LEFT, TOP, across, PANEL), self.chart, across)
        box.letter(figure, letter)

    def numbers(self) -> DataFrame:
        """The rows of the table "curves" that are drawn, with the name of their result as "run"."""
        import pandas as pd

        tables = []
        for name, result in self.many:
            table = result.tables["curves"]
            rows = table[table["measure"].isin(self.chart.group.among(table["measure"]))]
            tables.append(rows.assign(run=name)[["run", *rows.columns]])
        return pd.concat(tables, ignore_index=True)


def _draw(axes: Axes, drawn: Chart, across: float) -> None:
    """One group's curves on axes that are so many inches wide."""
    low, high = limits(drawn)
    pad = 0.04 * (high - low)
    end = drawn.stretches[-1].edges[1]
    for number, stretch in enumerate(drawn.stretches):
        left, right = stretch.edges
        if number % 2 == 0:
            axes.axvspan(left, right, color="0.955", lw=0, zorder=0)
        # The outer names keep to the sides: in the middle of a short band they would touch the projector's.
        side = "left" if number == 0 else "right" if right == end else "center"
        axes.text(
            {"left": left, "center": (left + right) / 2, "right": right}[side],
            1.02,
            stretch.name,
            transform=axes.get_xaxis_transform(),
            ha=side,
            fontsize=8,
        )
    if drawn.entry is not None:
        axes.axvline(drawn.entry, color="0.6", lw=0.6, ls=(0, (4, 3)), zorder=1)
    for curve in drawn.curves:
        colour = colour_of(curve, drawn, "paper")
        axes.fill_between(
            curve.x, curve.chance_low, curve.chance_high, color="0.5", alpha=0.15, lw=0, zorder=1
        )
        axes.plot(curve.x, curve.chance, color="0.55", lw=0.7, ls=":", zorder=2)
        axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.2, lw=0, zorder=2)
        style: Any = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}[dash_of(curve, drawn)]
        axes.plot(
            curve.x,
            curve.value,
            color=colour,
            ls=style,
            marker=marker_of(curve, drawn),
            ms=MARKER,
            markevery=-(-len(curve.x) // MOST_MARKERS),
            zorder=3,
        )
        if drawn.entry is not None and len(drawn.curves) <= MOST_GUIDES and math.isfinite(curve.reference):
            axes.plot([drawn.entry, end], [curve.reference] * 2, color=colour, lw=0.6, ls="--", alpha=0.7)
    if drawn.group.log:
        axes.set_yscale("log")
        _plain_numbers(axes, decades=high - low)
        axes.set_ylim(10 ** (low - pad), 10 ** (high + pad))
    else:
        axes.set_ylim(low - pad, high + pad)
    axes.set_xlim(-0.5, end)
    ticks = sparse_ticks(drawn, across / CHARACTER)
    axes.set_xticks([x for x, _ in ticks], [text for _, text in ticks])
    axes.tick_params(length=2, pad=1.5)
    axes.set_xlabel("layer", labelpad=1)
    axes.set_ylabel(axis_title(drawn))
    axes.yaxis.set_label_coords((TITLE - LEFT) / across, 0.5)
    _write_ends(axes, drawn)


def _write_ends(axes: Axes, drawn: Chart) -> None:
    """Names and drops at the right end, each with its curve's marker."""
    from matplotlib.transforms import ScaledTranslation

    low, high = limits(drawn)
    pad = 0.04 * (high - low)
    labels = _end_labels(drawn)
    line = LINE * (high - low + 2 * pad) / PANEL
    sizes = [line * (len(label.lines) + GAP) for label in labels]
    places = apart([scaled(drawn, label.value) for label in labels], sizes, low, high)
    for label, y in zip(labels, places, strict=True):
        colour = "0.4" if label.curve is None else colour_of(label.curve, drawn, "paper")
        top = (y + line * (len(label.lines) - 1) / 2 - low + pad) / (high - low + 2 * pad)
        for number, words in enumerate(label.lines):
            axes.annotate(
                words,
                (1, top),
                xycoords="axes fraction",
                xytext=(MARKED, -72 * LINE * number - BASELINE),
                textcoords="offset points",
                color=colour,
                fontsize=8,
                va="baseline",
                annotation_clip=False,
            )
        if label.curve is not None:
            aside = ScaledTranslation(MARKED / 2 / 72, 0, axes.figure.dpi_scale_trans)
            style: Any = {"marker": marker_of(label.curve, drawn), "ms": MARKER, "ls": "", "clip_on": False}
            axes.plot([1], [top], color=colour, transform=axes.transAxes + aside, **style)


def _end_labels(drawn: Chart) -> list[EndLabel]:
    return end_labels(drawn, room=int(0.9 * PANEL / LINE), intervals=True)


def _room_for_labels(drawn: Chart) -> float:
    """Inches that the longest line at a right end takes, markers included."""
    from matplotlib.textpath import TextPath

    lines = {line for label in _end_labels(drawn) for line in label.lines}
    widest = max((TextPath((0, 0), line, size=8).get_extents().width for line in lines), default=0.0)
    return float(widest + MARKED) / 72 + 0.07


def _plain_numbers(axes: Axes, decades: float) -> None:
    """Ticks of a logarithmic axis as plain numbers, several of them also in less than a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    few = MaxNLocator(5, steps=[1, 2, 5, 10]) if decades < 1 else LogLocator(subs=(1, 2, 5), numticks=8)
    axes.yaxis.set_major_locator(few)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
