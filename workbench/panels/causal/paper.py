"""Curves and maps on paper, with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import Refusal
from workbench.panels.causal.chart import KNOCKOUT, Named, chart, held
from workbench.panels.causal.maps import maps_of, run_names
from workbench.panels.layers.marks import MARKERS
from workbench.panels.overlay import weighed_bar
from workbench.runs.export import COLUMN, OKABE_ITO, PAGE
from workbench.runs.parts import Box, Part, composed

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.runs.result import Result

LINES = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (4, 1.5, 1, 1.5)))
"""Dashes of the first four results."""
LEFT, RIGHT, PANEL, BOTTOM, TOP, LINE = 0.57, 0.1, 1.5, 0.5, 0.22, 0.14
"""Inches: values of the axis, right edge, the axes, what is below, the letter, a name above."""
HEAD, GAP, BAR = 0.34, 0.08, 0.5
"""Inches: words above a map, between two maps, the scale at their right."""


def paper(results: Result | Sequence[Named], show: str = "", measure: str = "") -> Figure:
    """What is shown first, then the rest that these results hold. Raises Refusal where they hold nothing."""
    many = list(results) if isinstance(results, Sequence) else [("", results)]
    shared = [name for name in held(many[0][1]) if all(name in held(one) for _, one in many)]
    ordered = sorted(shared, key=lambda name: name != show)
    parts: list[Part] = [Curves(many, name, measure if name == show else "") for name in ordered]
    parts += [Maps([pair]) for pair in many if maps_of(pair[1])]
    if not parts:
        raise Refusal("These results have nothing in common that can be drawn.")
    return composed(parts, COLUMN if len(parts) == 1 and not parts[0].wide else PAGE)


class Curves:
    """One of `chart.CURVES`, with 95 % bands. Raises Refusal where a result does not hold it."""

    wide = False
    beside = 0.0

    def __init__(self, many: Sequence[Named], show: str, measure: str = "") -> None:
        self.many, self.show = list(many), show
        self.chart = chart(many, show, measure)
        self.names = [series.label for series in self.chart.series]

    def height(self, width: float) -> float:
        """Inches."""
        return TOP + LINE * len(self.names) + PANEL + BOTTOM + (0.12 if self.chart.bands else 0.0)

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw it at its place."""
        drawn, scale = self.chart, 100.0 if self.chart.percent else 1.0
        top = TOP + LINE * len(self.names)
        axes = box.axes(figure, LEFT, top, box.width - LEFT - RIGHT, PANEL)
        for line in drawn.lines:
            axes.axhline(scale * line, color="0.6", lw=0.6, ls=(0, (4, 3)), zorder=0)
        for place, series in enumerate(drawn.series):
            colour, dash = OKABE_ITO[series.rank % len(OKABE_ITO)], LINES[series.run % len(LINES)]
            known = np.isfinite(series.low)
            if known.any():
                band = (series.x[known], scale * series.low[known], scale * series.high[known])
                axes.fill_between(*band, color=colour, alpha=0.18, lw=0)
            marker = MARKERS[series.rank % len(MARKERS)]
            axes.plot(series.x, scale * series.value, marker=marker, ls=dash, color=colour)
            if np.isfinite(series.level):
                axes.axhline(scale * series.level, color=colour, lw=0.6, ls=(0, (1, 1.5)), zorder=0)
            down = TOP - 0.1 + LINE * place
            _key(figure, box, LEFT, down, marker, dash, colour)
            box.text(figure, LEFT + 0.3, down, series.label, color=colour)
        axes.set_xlim(-0.5, len(drawn.ticks) - 0.5)
        room = (box.width - LEFT - RIGHT) / 0.17
        step = max(1, int(np.ceil(len(drawn.ticks) / room)))
        shown = drawn.ticks[::step]
        axes.set_xticks([at for at, _ in shown], [text for _, text in shown])
        axes.tick_params(length=2, pad=1.5)
        for name, left, right in drawn.bands:
            if left > -0.5:
                axes.axvline(left, color="0.7", lw=0.5)
            axes.text((left + right) / 2, -0.13, name, ha="center", va="top",
                      transform=axes.get_xaxis_transform(), color="0.35")  # fmt: skip
        axes.set_xlabel(drawn.axis, labelpad=12 if drawn.bands else 1)
        axes.set_ylabel(drawn.title + (", %" if drawn.percent else ""), labelpad=2)
        box.text(figure, box.width - RIGHT, TOP - 0.1, drawn.counted.removesuffix(" images"), ha="right",
                 color="0.4")  # fmt: skip
        box.letter(figure, letter)

    def numbers(self) -> DataFrame:
        """The rows that are drawn, with the name of their result as "run"."""
        import pandas as pd

        tables = []
        for name, result in self.many:
            rows = result.tables["blocked" if self.show == KNOCKOUT else "recovery"]
            rows = rows if self.show == KNOCKOUT else rows[rows["direction"] == self.show]
            tables.append(rows.assign(run=name)[["run", *rows.columns]])
        return pd.concat(tables, ignore_index=True)


class Maps:
    """How much each patch, exchanged alone, moves the answer. Raises Refusal where a result has no map."""

    wide = True
    beside = 0.0

    def __init__(self, many: Sequence[Named]) -> None:
        self.many = list(many)
        for name, result in self.many:
            if not maps_of(result):
                raise Refusal(f"{name or 'This result'} holds no map: it takes one degraded picture.")

    def height(self, width: float) -> float:
        """Inches: one result below the other."""
        return sum(HEAD + self._side(result, width) + 0.16 for _, result in self.many)

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw it at its place: the two pictures, then a map for each direction and stage."""
        top = 0.0
        for name, result in self.many:
            side = self._side(result, box.width)
            maps = maps_of(result)
            for column, (key, words) in enumerate(run_names(result).items()):
                axes = box.axes(figure, 0.1 + column * (side + GAP), top + HEAD, side, side)
                axes.imshow(result.images[key], interpolation="nearest")
                axes.set_axis_off()
                box.text(figure, 0.1 + column * (side + GAP), top + HEAD - 0.15, words)
            for column, each in enumerate(maps, start=2):
                left = 0.1 + column * (side + GAP)
                axes = box.axes(figure, left, top + HEAD, side, side)
                axes.imshow(each.drawn(result.images["clean"]), interpolation="nearest")
                axes.set_axis_off()
                box.text(figure, left, top + HEAD - 0.15, f"{each.direction}, {each.stage}")
            if name:
                box.text(figure, 0.3, top + 0.04, name)
            if maps:
                self._scale(figure, box, box.width - BAR, top + HEAD, side, maps[0].most)
            top += HEAD + side + 0.16
        box.letter(figure, letter)

    def numbers(self) -> DataFrame:
        """A row for each patch of each map."""
        import pandas as pd

        rows = []
        for name, result in self.many:
            for each in maps_of(result):
                for patch, value in enumerate(each.values):
                    x0, y0, x1, y1 = (float(v) for v in each.boxes[patch])
                    rows.append(
                        {"run": name, "direction": each.direction, "stage": each.stage, "patch": patch}
                        | {"x0": x0, "y0": y0, "x1": x1, "y1": y1, "share": float(value)}
                    )
        return pd.DataFrame(rows)

    def _side(self, result: Result, width: float) -> float:
        count = len(maps_of(result)) + 2
        return min(1.5, (width - 0.2 - BAR - GAP * count) / count)

    def _scale(self, figure: Figure, box: Box, left: float, top: float, tall: float, most: float) -> None:
        """The colours with their ends."""
        axes = box.axes(figure, left, top, 0.08, tall)
        axes.imshow(weighed_bar(width=256, height=1)[0, ::-1, None], aspect="auto", interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([0, 127.5, 255], [f"{most:+.2g}", "0", f"−{most:.2g}"])
        axes.yaxis.tick_right()
        axes.tick_params(length=1.5, pad=1)


def _key(figure: Figure, box: Box, left: float, top: float, marker: str, dash: Any, colour: str) -> None:
    """A short line with the marker of a curve beside its name."""
    from matplotlib.lines import Line2D

    across, down = figure.get_size_inches()
    x0, x1 = (box.left + left) / across, (box.left + left + 0.24) / across
    y = 1 - (box.top + top + 0.06) / down
    figure.add_artist(Line2D([x0, x1], [y, y], color=colour, ls=dash, lw=1.2))
    figure.add_artist(Line2D([(x0 + x1) / 2], [y], color=colour, marker=marker, ls="", ms=3))
