"""The scatter of a series of checkpoints on paper: answers to the right, readers upwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from probes.correlation import FEWEST, Correlation
from workbench.errors import Refusal
from workbench.panels.layers.axis import signed
from workbench.panels.layers.marks import MARKERS
from workbench.panels.layers.measures import GROUPS, accuracy_of
from workbench.panels.layers.paper import BASELINE, BOTTOM, LEFT, LINE, MARKED, PANEL, TOP
from workbench.panels.sacrifice.series import Named, correlations, points, shown_stages
from workbench.panels.sacrifice.shows import MOST_STAGES
from workbench.runs.export import COLUMN, OKABE_ITO
from workbench.runs.parts import Table, composed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.runs.parts import Box
    from workbench.runs.result import Result

BESIDE = 1.15
"""Inches for the coefficients at the right."""
ACCURACY = accuracy_of("")
TASK_AXIS = "share of right answers ↑"
SIZE = 3.6
"""Points: of a checkpoint's marker."""


def paper(results: Result | Sequence[Named], measure: str = "", stages: Sequence[str] = ()) -> Figure:
    """The scatter of one checkpoint or several, 3.25 in wide; see `Scatter`."""
    many = list(results) if isinstance(results, Sequence) else [("", results)]
    return composed([Scatter(many, measure, stages)], COLUMN)


class Scatter:
    """Task accuracy against a reader's, a point for each checkpoint, at a few stages.

    A line joins the checkpoints in their order, and the last is filled. Raises Refusal where the results lack
    the measure or a stage, or more stages are asked for than there is room for.
    """

    wide = False
    beside = BESIDE

    def __init__(self, many: Sequence[Named], measure: str = "", stages: Sequence[str] = ()) -> None:
        if len(stages) > MOST_STAGES:
            raise Refusal(f"A scatter shows up to {MOST_STAGES} stages; {len(stages)} are named.")
        self.points = points(many, measure)
        self.stages = shown_stages(self.points, stages)
        self.checkpoints = len(many)

    def height(self, width: float) -> float:
        """Inches: that of a panel of curves, which it may stand beside."""
        return TOP + PANEL + BOTTOM

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw it at its place."""
        axes = box.axes(figure, LEFT, TOP, box.width - LEFT - beside, PANEL)
        found = correlations(self.points, self.stages)
        lines: list[tuple[str, int]] = []
        for rank, stage in enumerate(self.stages):
            self._points(axes, rank, stage)
            lines += [(line, rank) for line in about(stage, *found[stage])]
        lines += [(line, -1) for line in said(self.checkpoints)]
        for number, (words, rank) in enumerate(lines):
            first = rank >= 0 and (not number or lines[number - 1][1] != rank)
            _write(axes, words, number, rank, marked=first)
        axes.tick_params(length=2, pad=1.5)
        axes.set_xlabel(TASK_AXIS, labelpad=1)
        axes.set_ylabel(reader_axis(self.points), labelpad=2)
        box.letter(figure, letter)

    def numbers(self) -> DataFrame:
        """A row for each checkpoint and language stage, also those that are not drawn."""
        return self.points

    def _points(self, axes: Axes, rank: int, stage: str) -> None:
        here = self.points[self.points["stage"] == stage].sort_values("place")
        x, y, colour = here["task"].to_numpy(), here["reader"].to_numpy(), OKABE_ITO[rank]
        across = [x - here["task low"], here["task high"] - x]
        up = [y - here["reader low"], here["reader high"] - y]
        axes.errorbar(x, y, xerr=across, yerr=up, fmt="none", ecolor=colour, elinewidth=0.5, alpha=0.45)
        axes.plot(x, y, color=colour, lw=0.6, alpha=0.7)
        axes.plot(x[:-1], y[:-1], MARKERS[rank], mfc="white", mec=colour, mew=0.8, ms=SIZE)
        axes.plot(x[-1:], y[-1:], MARKERS[rank], color=colour, ms=SIZE)


def reader_axis(drawn: DataFrame) -> str:
    """What stands at the vertical axis of these points."""
    measure = str(drawn["measure"].iloc[0])
    group = next(group for group in GROUPS.values() if group.among([measure]))
    read = group.name.endswith("reader")
    words = f"linear reader, {measure.removeprefix(ACCURACY)}" if read else measure
    return f"{words} {group.direction[-1:]}".strip()


def coefficients(many: Sequence[Named], measure: str = "") -> Table:
    """Pearson's r and Spearman's ρ at every language stage; intervals and p where there are enough points."""
    import pandas as pd

    drawn = points(many, measure)
    stages = [str(stage) for stage in drawn["stage"].unique()]
    rows, written = [], []
    for stage, (r, rho) in correlations(drawn, stages).items():
        rows.append(
            {"stage": stage, "measure": drawn["measure"].iloc[0]}
            | {f"pearson {name}": getattr(r, name) for name in ("value", "low", "high", "p")}
            | {f"spearman {name}": getattr(rho, name) for name in ("value", "low", "high", "p")}
            | {"n": r.n}
        )
        written.append(
            {
                "stage": stage,
                "Pearson r": _in_words(r),
                "p": _p(r),
                "Spearman ρ": _in_words(rho),
                "p of ρ": _p(rho),
                "n": f"{r.n} checkpoints" + (", too few for an interval" if r.n < FEWEST else ""),
            }
        )
    return Table(pd.DataFrame(rows), pd.DataFrame(written))


def _in_words(found: Correlation) -> str:
    if not math.isfinite(found.value):
        return "undefined"
    inside = f" [{signed(found.low)}, {signed(found.high)}]" if math.isfinite(found.low) else ""
    return signed(found.value, 1.0) + inside


def _p(found: Correlation) -> str:
    if not math.isfinite(found.p):
        return ""
    return f"{found.p:.3f}" if found.p >= 0.001 else "< 0.001"


def about(stage: str, r: Correlation, rho: Correlation) -> list[str]:
    """What stands at the right about one stage."""
    lines = [stage]
    if math.isfinite(r.value):
        lines.append(f"r {signed(r.value, 1.0)}, ρ {signed(rho.value, 1.0)}")
    if math.isfinite(r.low):
        lines.append(f"r [{signed(r.low, 1.0)}, {signed(r.high, 1.0)}]")
    if math.isfinite(rho.low):
        lines.append(f"ρ [{signed(rho.low, 1.0)}, {signed(rho.high, 1.0)}]")
    return lines


def said(count: int) -> list[str]:
    """How many checkpoints, and what that is too few for."""
    if count == 1:
        return ["n = 1:", "no correlation"]
    if count < FEWEST:
        return [f"n = {count}, too few", "for an interval"]
    return [f"n = {count}"]


def _write(axes: Axes, words: str, number: int, rank: int, *, marked: bool) -> None:
    """One line of text at the right of the axes, from the top; its stage's marker before the first."""
    from matplotlib.transforms import ScaledTranslation

    down = -72 * LINE * number
    axes.annotate(
        words,
        (1, 1),
        xycoords="axes fraction",
        xytext=(MARKED, down - BASELINE),
        textcoords="offset points",
        color="0.4" if rank < 0 else OKABE_ITO[rank],
        fontsize=8,
        va="baseline",
        annotation_clip=False,
    )
    if marked:
        aside = ScaledTranslation(MARKED / 2 / 72, down / 72, axes.figure.dpi_scale_trans)
        axes.plot(
            [1],
            [1],
            MARKERS[rank],
            color=OKABE_ITO[rank],
            ms=SIZE,
            clip_on=False,
            transform=axes.transAxes + aside,
        )
