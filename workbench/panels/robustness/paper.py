"""The figures of a robustness study on paper, with matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.panels.layers.axis import plain
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
                _error(axes, at, row["value"], row["low"], row["high"])
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
        _legend(axes)
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
                _legend(axes, lift=0.22)
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
                axes.text(x, y, f"{100 * number:.1f}", ha="center", va="center_baseline", color=ink)
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


class Trigger:
    """How often a response draws (bars, left), and seconds an answer (line, right), by severity."""

    wide = False
    beside = 0.0

    def __init__(self, many: Sequence[Named], pathways: Sequence[str] = ()) -> None:
        self.rows = chart.triggers(many, pathways)
        self.levels = list(dict.fromkeys(self.rows.sort_values("severity")["level"]))

    def height(self, width: float) -> float:
        """Inches."""
        return TOP + LEGEND + PANEL + BOTTOM

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw it at its place."""
        axes = box.axes(figure, LEFT, TOP + LEGEND, box.width - LEFT - 0.42, PANEL)
        times = axes.twinx()
        drawn = chart.curves(self.rows)
        width = 0.8 / len(drawn)
        for rank, curve in enumerate(drawn):
            colour, rows = OKABE_ITO[rank % len(OKABE_ITO)], curve.rows
            at = np.array([self.levels.index(level) for level in rows["level"]], dtype=float)
            x = at - 0.4 + width * (rank + 0.5)
            axes.bar(
                x, rows["triggered"], width * 0.9, color=colour, alpha=0.45, label=curve.name or "responses"
            )
            for place, row in zip(x, rows.to_dict("records"), strict=True):
                _error(axes, place, row["triggered"], row["triggered_low"], row["triggered_high"])
            times.plot(at, rows["seconds"], MARKERS[rank % 8], ls="-", color=colour)
        axes.set_ylim(0, 1.02)
        times.set_ylim(bottom=0)
        times.spines["right"].set_visible(True)
        axes.set_xticks(range(len(self.levels)), self.levels)
        for each in (axes, times):
            each.tick_params(length=2, pad=1.5)
        axes.set_ylabel("share that draws (bars)", labelpad=2)
        times.set_ylabel("seconds an answer (line) ↓", labelpad=3)
        axes.set_xlabel("severity, all corruptions", labelpad=1)
        _legend(axes)
        box.letter(figure, letter)

    def numbers(self) -> DataFrame:
        """The rows that are drawn."""
        return self.rows.drop(columns=["place"])


class Gain:
    """What each drawing gained in a measure, against whether the answer was right."""

    wide = False
    beside = 0.0

    def __init__(
        self, many: Sequence[Named], measure: str = "PSNR", pathway: str = "", corruption: str = ""
    ) -> None:
        self.points = chart.drawings(many, measure, pathway, corruption)
        self.measure = measure

    def height(self, width: float) -> float:
        """Inches."""
        return TOP + PANEL + BOTTOM

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw it at its place."""
        axes = box.axes(figure, LEFT, TOP, box.width - LEFT - RIGHT, PANEL)
        rng, points = np.random.default_rng(0), self.points
        y = points["right"].to_numpy() + rng.uniform(-0.05, 0.05, len(points))
        axes.plot(points["gain"], y, "o", ms=1.2, mew=0, color=OKABE_ITO[0], alpha=0.3, rasterized=True)
        bins = chart.binned(points)
        axes.errorbar(
            bins["gain"],
            bins["right"],
            yerr=[(bins["right"] - bins["low"]).clip(lower=0), (bins["high"] - bins["right"]).clip(lower=0)],
            fmt="s-",
            ms=3,
            lw=1,
            elinewidth=0.7,
            color=OKABE_ITO[1],
        )
        axes.axvline(0, color="0.6", lw=0.6, ls=(0, (4, 3)))
        axes.set_ylim(-0.1, 1.1)
        axes.set_yticks([0, 0.5, 1], ["wrong", "half", "right"])
        axes.tick_params(length=2, pad=1.5)
        unit = " in dB" if self.measure == "PSNR" else ""
        axes.set_xlabel(f"gain of the drawing, {self.measure}{unit} ↑", labelpad=1)
        axes.text(
            0.99,
            0.5,
            chart.correlation(points),
            transform=axes.transAxes,
            ha="right",
            va="center",
            linespacing=1.25,
        )
        box.letter(figure, letter)

    def numbers(self) -> DataFrame:
        """Every drawing."""
        return self.points


class Sweep:
    """Right answers over the number of flow steps, with seconds an answer at each point."""

    wide = False
    beside = 0.0

    def __init__(self, many: Sequence[Named], pathways: Sequence[str] = ()) -> None:
        self.rows = chart.sweep(many, pathways)

    def height(self, width: float) -> float:
        """Inches."""
        return TOP + LEGEND + PANEL + BOTTOM

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw it at its place."""
        axes = box.axes(figure, LEFT, TOP + LEGEND, box.width - LEFT - RIGHT, PANEL)
        for rank, curve in enumerate(chart.curves(self.rows)):
            rows, colour = curve.rows.sort_values("steps"), OKABE_ITO[rank % len(OKABE_ITO)]
            axes.fill_between(rows["steps"], rows["low"], rows["high"], color=colour, alpha=0.2, lw=0)
            axes.plot(rows["steps"], rows["value"], MARKERS[rank % 8], ls="-", color=colour, label=curve.name)
            for row in rows.to_dict("records"):
                axes.annotate(
                    f"{plain(row['seconds'])} s",
                    (row["steps"], row["value"]),
                    xytext=(0, 4 if rank == 0 else -10),
                    textcoords="offset points",
                    ha="center",
                    color=colour,
                )
        axes.set_xticks(sorted(set(self.rows["steps"])))
        axes.margins(x=0.08, y=0.2)
        axes.tick_params(length=2, pad=1.5)
        axes.set_xlabel("flow steps", labelpad=1)
        axes.set_ylabel(TITLES["accuracy"], labelpad=2)
        _legend(axes)
        box.letter(figure, letter)

    def numbers(self) -> DataFrame:
        """The rows that are drawn."""
        return self.rows.drop(columns=["place"])


def _shade(place: int, count: int) -> str:
    return OKABE_ITO[0] if place == 0 else SHADES[min(len(SHADES) - 1, count - 1 - place)]


def _error(axes: Axes, x: float, value: float, low: float, high: float) -> None:
    if math.isfinite(low) and math.isfinite(value):
        axes.errorbar(
            x, value, yerr=[[max(0.0, value - low)], [max(0.0, high - value)]], fmt="none", ecolor="0.15",
            elinewidth=0.7, capsize=1.5, capthick=0.7,
        )  # fmt: skip


def _folded(name: str) -> str:
    return name.replace(", ", ",\n") if len(name) > 14 else name


def _legend(axes: Axes, lift: float = 0.0) -> None:
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0 + lift),
        ncols=6,
        borderaxespad=0.1,
        handlelength=1.2,
        columnspacing=1.0,
        handletextpad=0.4,
    )
