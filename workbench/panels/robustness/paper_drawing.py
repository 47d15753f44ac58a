"""What a drawing gives back on paper, with matplotlib: triggers and seconds, gain and answer, steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.panels.layers.axis import plain
from workbench.panels.layers.marks import MARKERS
from workbench.panels.robustness import chart
from workbench.panels.robustness.chart import TITLES, Named
from workbench.panels.robustness.paper import BOTTOM, LEFT, LEGEND, PANEL, RIGHT, TOP, error, legend
from workbench.runs.export import OKABE_ITO

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.runs.parts import Box


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
                error(axes, place, row["triggered"], row["triggered_low"], row["triggered_high"])
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
        legend(axes)
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
        steps = sorted(set(self.rows["steps"]))
        axes.set_xscale("log")
        axes.set_xticks(steps, [f"{step:,}" for step in steps])
        axes.minorticks_off()
        axes.margins(x=0.14, y=0.2)
        axes.tick_params(length=2, pad=1.5)
        axes.set_xlabel("flow steps, on a logarithmic axis", labelpad=1)
        axes.set_ylabel(TITLES["accuracy"], labelpad=2)
        legend(axes)
        box.letter(figure, letter)

    def numbers(self) -> DataFrame:
        """The rows that are drawn."""
        return self.rows.drop(columns=["place"])
