"""Interventions on paper: effects as points with intervals, one response as a row of pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import Refusal
from workbench.panels.interventions.chart import SHORT, Named, chart, held
from workbench.panels.interventions.config import OWN
from workbench.panels.layers.axis import signed
from workbench.panels.layers.marks import MARKERS
from workbench.panels.states.shots import probability
from workbench.runs.export import COLUMN, OKABE_ITO, PAGE
from workbench.runs.parts import Box, composed

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.runs.result import Result

DRAWN = ("delta", "flips", "accuracy", "truth delta")
"""What a figure of a collection shows where nothing else is asked for."""
LEFT, TOP, BOTTOM, RIGHT, STEP = 1.0, 0.3, 0.42, 0.1, 0.24
"""Inches: names of states, names of series above, the axis below, the right edge; one state."""
HEAD, LINE, GAP = 0.72, 0.14, 0.04
"""Inches: names of routes beside the pictures, a line of words, between two pictures."""
CHARACTER, LETTER = 0.072, 0.061
"""Inches: the width of a letter at most, and about."""


def paper(results: Result | Sequence[Named], measures: Sequence[str] = ()) -> Figure:
    """Effects of a collection on a page, four measures by default; of one image its row of pictures."""
    many = list(results) if isinstance(results, Sequence) else [("", results)]
    over = [pair for pair in many if held(pair[1])]
    if not over or not held(many[0][1]):
        return composed([Rows(many)], PAGE)
    wanted = [measure for measure in measures or DRAWN if all(measure in held(one) for _, one in over)]
    parts = [Effects(over, measure) for measure in wanted]
    return composed(parts, COLUMN if len(parts) == 1 else PAGE)


class Effects:
    """One measure over a collection. Raises Refusal where a result lacks it."""

    wide = False
    beside = 0.0

    def __init__(self, many: Sequence[Named], measure: str, route: str = "") -> None:
        self.many, self.measure = list(many), measure
        self.chart = chart(many, measure, route)

    def height(self, width: float) -> float:
        """Inches: the same for every measure of the same states, with the drawing's own place."""
        return TOP + STEP * (len(self.chart.states) + int(self.chart.zero)) + BOTTOM

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw it at its place."""
        drawn = self.chart
        count = len(drawn.states)
        tall = STEP * (count + int(drawn.zero))
        axes = box.axes(figure, LEFT, TOP, box.width - LEFT - RIGHT, tall)
        spread = 0.52 / max(1, len(drawn.series))
        for number, series in enumerate(drawn.series):
            y = np.arange(count) + spread * (number - (len(drawn.series) - 1) / 2)
            colour = OKABE_ITO[number % len(OKABE_ITO)]
            across = np.stack([series.value - series.low, series.high - series.value])
            axes.errorbar(
                series.value, y, xerr=np.nan_to_num(across), fmt="none", ecolor=colour, elinewidth=0.9
            )
            axes.plot(series.value, y, MARKERS[number % len(MARKERS)], color=colour, ms=3.2)
        if drawn.zero:
            axes.axvline(0, color="0.6", lw=0.6, ls=(0, (4, 3)), zorder=0)
        axes.set_ylim(count - 0.5, -0.5)
        axes.set_yticks(range(count), [SHORT[state] for state in drawn.states])
        axes.tick_params(length=2, pad=1.5)
        axes.set_xlabel(", ".join(filter(None, (drawn.title, drawn.route))), labelpad=1)
        left = LEFT
        for number, series in enumerate(drawn.series):
            colour = OKABE_ITO[number % len(OKABE_ITO)]
            middle = (box.left + left + 0.04) / figure.get_size_inches()[0]
            down = 1 - (box.top + 0.165) / figure.get_size_inches()[1]
            figure.add_artist(_dot(middle, down, MARKERS[number % len(MARKERS)], colour))
            box.text(figure, left + 0.11, 0.1, series.label, color=colour)
            left += 0.17 + LETTER * len(series.label)
        counted = drawn.counted.removesuffix(" images")
        box.text(figure, box.width - RIGHT, 0.1, counted, ha="right", color="0.4")
        box.letter(figure, letter)

    def numbers(self) -> DataFrame:
        """The rows of the table "effects" that are drawn, with the name of their result as "run"."""
        import pandas as pd

        tables = []
        for name, result in self.many:
            rows = result.tables["effects"]
            rows = rows[rows["measure"] == self.measure]
            tables.append(rows.assign(run=name)[["run", *rows.columns]])
        return pd.concat(tables, ignore_index=True)


class Rows:
    """Of each response a row: every state as a picture, its answers below, a line pair for each route."""

    wide = True
    beside = 0.0

    def __init__(self, many: Sequence[Named]) -> None:
        self.many = list(many)
        for name, result in self.many:
            if held(result):
                raise Refusal(
                    f"{name or 'This result'} is of a collection and has no pictures: show one of "
                    f"{', '.join(held(result))}."
                )

    def height(self, width: float) -> float:
        """Inches: one row below the other."""
        return sum(self._tall(result) for _, result in self.many)

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw them at their place."""
        top = 0.0
        for name, result in self.many:
            self._one(figure, box, top, name, result)
            top += self._tall(result)
        box.letter(figure, letter)

    def numbers(self) -> DataFrame:
        """The table "answers" with the name of the run."""
        import pandas as pd

        tables = [result.tables["answers"].assign(run=name) for name, result in self.many]
        return pd.concat([t[["run", *t.columns.drop("run")]] for t in tables], ignore_index=True)

    def _cell(self, result: Result) -> float:
        return (PAGE - HEAD) / max(5, result.tables["answers"]["state"].nunique())

    def _tall(self, result: Result) -> float:
        routes = result.tables["answers"]["route"].nunique()
        height, width = result.images["degraded"].shape[:2]
        picture = (self._cell(result) - GAP) * min(2.0, height / width)
        return 0.24 + picture + LINE + routes * (2 * LINE + 0.06) + 0.14

    def _one(self, figure: Figure, box: Box, top: float, name: str, result: Result) -> None:
        table, cell = result.tables["answers"], self._cell(result)
        height, width = result.images["degraded"].shape[:2]
        wide = cell - GAP
        tall = wide * min(2.0, height / width)
        asked = " ".join(filter(None, (name and f"{name}:", str(table["question"].iloc[0]))))
        box.text(figure, HEAD, top + 0.06, _cut(asked, PAGE - HEAD))
        states = list(dict.fromkeys(table["state"]))
        room = math.floor(wide / CHARACTER)
        for column, state in enumerate(states):
            left = HEAD + column * cell
            axes = box.axes(figure, left, top + 0.24, wide, tall)
            if state in result.images:
                axes.imshow(result.images[state], interpolation="nearest", aspect="equal")
                axes.set_axis_off()
            else:
                axes.set_xticks([])
                axes.set_yticks([])
                for side in axes.spines.values():
                    side.set(visible=True, linestyle=(0, (3, 3)), color="0.6")
            below = top + 0.24 + tall + 0.03
            box.text(figure, left, below, SHORT[state], color="0.35", fontsize=7)
            for line, route in enumerate(dict.fromkeys(table["route"])):
                row = table[(table["route"] == route) & (table["state"] == state)].iloc[0]
                down = below + LINE + 0.02 + line * (2 * LINE + 0.06)
                if not column:
                    box.text(figure, 0.06, down, str(route), color="0.35")
                look: dict[str, Any] = {"weight": "bold"} if row["flipped"] == 1 else {}
                words = str(row["answer"]) or "no words"
                box.text(figure, left, down, _cut(words, room * CHARACTER), **look)
                said = probability(row["probability"]) if state == OWN else f"Δ {signed(row['delta'])}"
                box.text(figure, left, down + LINE, said, color="0.35")


def _cut(words: str, inches: float) -> str:
    room = max(3, math.floor(inches / CHARACTER))
    return words if len(words) <= room else words[: room - 1] + "…"


def _dot(x: float, y: float, marker: str, colour: str) -> Any:
    """A marker at a place of the figure, 0 … 1 each way."""
    from matplotlib.lines import Line2D

    return Line2D([x], [y], marker=marker, color=colour, ms=3.2, ls="")
