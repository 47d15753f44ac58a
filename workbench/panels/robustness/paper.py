"""What damage costs on paper, with matplotlib: bars, curves over severity, a table of colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.panels.layers.marks import MARKERS
from workbench.panels.robustness import chart
from workbench.panels.robustness.chart import COLUMNS, TITLES, Named, Value, label
from workbench.runs.export import OKABE_ITO

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.runs.parts import Box

LEFT, RIGHT, TOP, BOTTOM, PANEL = 0.5, 0.08, 0.24, 0.42, 1.6
"""Inches: room for axes and names around a panel, and its height."""
LEGEND, LINE = 0.17, 0.145
"""Inches: a line of the legend above a panel; a row of the heat table."""
ACROSS, FACET, FACET_GAP = 4, 0.95, 0.42
"""Facets side by side; inches of one's height, and between two."""
SHADES = ("0.35", "0.55", "0.72", "0.85")
"""Of the bars, from clean to the strongest damage."""


class Bars:
    """Right answers clean and at each severity, all corruptions together; above a pathway its last drop."""

    wide = False
    beside = 0.0

    def __init__(self, many: Sequence[Named], pathways: Sequence[str] = ()) -> None:
        self.rows = chart.bars(many, pathways)
        self.curves = chart.curves(self.rows)
        self.levels = list(dict.fromkeys(self.rows.sort_values("severity")["level"]))

    def height(self, width: float) -> float:
        """Inches."""
        return TOP + LEGEND + PANEL + BOTTOM

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw it at its place."""
        axes = box.axes(figure, LEFT, TOP + LEGEND, box.width - LEFT - RIGHT, PANEL)
        width = 0.8 / len(self.levels)
        for k, level in enumerate(self.levels):
            for x, curve in enumerate(self.curves):
                here = curve.rows[curve.rows["level"] == level]
                if not len(here):
                    continue
                row = here.iloc[0]
                at = x - 0.4 + width * (k + 0.5)
                axes.bar(
                    at,
                    row["value"],
                    width * 0.92,
                    color=_shade(k, len(self.levels)),
                    label=level if x == 0 else None,
                )
                error(axes, at, row["value"], row["low"], row["high"])
        for x, curve in enumerate(self.curves):
            last = curve.rows.iloc[-1]
            if last["of"] != "clean" and last["drop"]:
                axes.annotate(
                    f"\N{MINUS SIGN}{100 * last['drop']:.1f}".replace("\N{MINUS SIGN}-", "+"),
                    (x + 0.4 - width / 2, min(1.0, np.nanmax([last["high"], last["value"]]))),
                    xytext=(0, 3),
                    textcoords="offset points",
                    ha="center",
                )
        axes.set_ylim(0, 1.08)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
        axes.set_xticks(range(len(self.curves)), [_folded(curve.name) for curve in self.curves])
        axes.tick_params(length=2, pad=1.5)
        axes.set_ylabel(TITLES["accuracy"], labelpad=2)
        legend(axes)
        box.letter(figure, letter)

    def numbers(self) -> DataFrame:
        """The rows that are drawn."""
        return self.rows.drop(columns=["place"])


class Severity:
    """Right answers over severity, a small panel for each corruption and one for all; clean at 0."""

    wide = True
    beside = 0.0

    def __init__(
        self, many: Sequence[Named], pathways: Sequence[str] = (), value: Value = "accuracy"
    ) -> None:
        self.facets, self.value = chart.facets(many, pathways), value

    def _grid(self) -> tuple[int, int]:
        across = min(ACROSS, len(self.facets))
        return across, -(-len(self.facets) // across)

    def height(self, width: float) -> float:
        """Inches."""
        return TOP + LEGEND + self._grid()[1] * (FACET + FACET_GAP) + 0.16

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw it at its place."""
        across, down = self._grid()
        cell = (box.width - LEFT - RIGHT) / across
        middle, low, high = COLUMNS[self.value]
        ends = [rows[[low, high, middle]].to_numpy() for rows in self.facets.values()]
        span = np.nanmin([np.nanmin(v) for v in ends]), np.nanmax([np.nanmax(v) for v in ends])
        pad = 0.06 * max(span[1] - span[0], 0.02)
        for k, (name, rows) in enumerate(self.facets.items()):
            row, column = divmod(k, across)
            top = TOP + LEGEND + row * (FACET + FACET_GAP)
            axes = box.axes(figure, LEFT + column * cell, top, cell - 0.14, FACET)
            for rank, curve in enumerate(chart.curves(rows)):
                colour = OKABE_ITO[rank % len(OKABE_ITO)]
                x, y = curve.rows["severity"].to_numpy(), curve.rows[middle].to_numpy()
                axes.fill_between(x, curve.rows[low], curve.rows[high], color=colour, alpha=0.2, lw=0)
                axes.plot(
                    x, y, MARKERS[rank % 8], ls="-", color=colour, ms=2.6, label=curve.name if not k else None
                )
            if k == 0:
                legend(axes, lift=0.22)
            axes.set_ylim(span[0] - pad, span[1] + pad)
            axes.set_xlim(-0.03, 1.0)
            axes.set_xticks(sorted(set(rows["severity"])))
            axes.set_xticklabels([f"{x:g}" for x in sorted(set(rows["severity"]))])
            axes.tick_params(length=2, pad=1.5, labelleft=column == 0)
            axes.text(0, 1.03, label(name), transform=axes.transAxes, va="bottom")
            if row == down - 1 or k + across >= len(self.facets):
                axes.set_xlabel("severity", labelpad=1)
        box.text(
            figure,
            0.02,
            TOP + LEGEND + (down * (FACET + FACET_GAP) - FACET_GAP) / 2,
            TITLES[self.value],
            rotation=90,
            va="center",
        )
        box.letter(figure, letter)

    def numbers(self) -> DataFrame:
        """The rows that are drawn."""
        import pandas as pd

        rows = pd.concat([rows.assign(panel=name) for name, rows in self.facets.items()], ignore_index=True)
        return rows.drop(columns=["place"])


class Heat:
    """A table of colours: corruptions down, severities across, the number in each cell."""

    wide = False
    beside = 0.0

    def __init__(self, many: Sequence[Named], pathway: str = "", value: Value = "drop") -> None:
        self.tables = [(name, chart.heat(result, pathway, value)) for name, result in many]
        self.value = value

    def height(self, width: float) -> float:
        """Inches."""
        return TOP + 0.2 + max(len(table) for _, table in self.tables) * LINE + 0.3

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw it at its place."""
        values = np.concatenate([table.to_numpy().ravel() for _, table in self.tables])
        low, high = (0.0, max(0.01, np.nanmax(values))) if self.value == "drop" else (0.0, 1.0)
        names = 1.25
        room = (box.width - names - RIGHT) / len(self.tables)
        for k, (name, table) in enumerate(self.tables):
            tall = len(table) * LINE
            axes = box.axes(figure, names + k * room, TOP + 0.2, room - 0.08, tall)
            shown = table.to_numpy(dtype=float)
            axes.imshow(shown, cmap="cividis", vmin=low, vmax=high, aspect="auto")
            for (y, x), number in np.ndenumerate(shown):
                bright = (number - low) / (high - low) > 0.6
                ink = "black" if bright else "white"
                axes.text(x, y, chart.points_of(number), ha="center", va="center_baseline", color=ink)
            axes.set_xticks(range(table.shape[1]), list(table.columns))
            axes.xaxis.tick_top()
            axes.set_yticks(range(len(table)), [label(c) for c in table.index] if k == 0 else [])
            axes.tick_params(length=0, pad=2)
            for spine in axes.spines.values():
                spine.set_visible(False)
            if name and len(self.tables) > 1:
                axes.set_title(name, pad=12)
        words = "drop from clean in points ↓" if self.value == "drop" else "right answers in % ↑"
        box.text(figure, names, self.height(box.width) - 0.2, words)
        box.letter(figure, letter)

    def numbers(self) -> DataFrame:
        """A row for each cell."""
        import pandas as pd

        tables = [
            table.reset_index().melt("corruption", var_name="level", value_name=self.value).assign(run=name)
            for name, table in self.tables
        ]
        return pd.concat(tables, ignore_index=True)


def _shade(place: int, count: int) -> str:
    return OKABE_ITO[0] if place == 0 else SHADES[min(len(SHADES) - 1, count - 1 - place)]


def error(axes: Axes, x: float, value: float, low: float, high: float) -> None:
    """The interval of a bar."""
    if math.isfinite(low) and math.isfinite(value):
        axes.errorbar(
            x, value, yerr=[[max(0.0, value - low)], [max(0.0, high - value)]], fmt="none", ecolor="0.15",
            elinewidth=0.7, capsize=1.5, capthick=0.7,
        )  # fmt: skip


def _folded(name: str) -> str:
    return name.replace(", ", ",\n") if len(name) > 14 else name


def legend(axes: Axes, lift: float = 0.0) -> None:
    """Names above a panel."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0 + lift),
        ncols=6,
        borderaxespad=0.1,
        handlelength=1.2,
        columnspacing=1.0,
        handletextpad=0.4,
    )
