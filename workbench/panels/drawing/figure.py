"""A drawing on paper: the filmstrip, below it the entropy map and the curve over the drawing's course."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.panels.drawing import chart
from workbench.panels.overlay import cividis
from workbench.runs.export import OKABE_ITO
from workbench.runs.export import PAGE as WIDTH
from workbench.runs.parts import Box, composed, lettered
from workbench.runs.wrapping import wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.runs.result import Result

Named = tuple[str, "Result"]
"""A result with the name of its run."""
SHOTS = 6
GAP = 0.04
"""Inches around a picture."""
LINE = 0.14
"""Inches from one line of text to the next."""
LOWER = 1.75
"""Height in inches of map and curve with what stands below them."""
MOST_TALL = 2.0
"""Height over width of a picture's place, at most."""


def paper(results: Result | Sequence[Result] | Sequence[Named]) -> Figure:
    """One block for each result, 6.75 in wide; the maps of all have one scale of colours."""
    many = [results] if not isinstance(results, Sequence) else list(results)
    return composed([Drawings([each if isinstance(each, tuple) else ("", each) for each in many])], WIDTH)


class Drawings:
    """The same as a part of a figure: one letter for all blocks, or one for each where it stands alone."""

    wide = True
    beside = 0.0

    def __init__(self, many: Sequence[Named]) -> None:
        drawn = [result for _, result in many if chart.by_tokens(result)]
        high = chart.top(drawn) if drawn else 0.0
        self.many = list(many)
        self.blocks = [_Block(name * (len(many) > 1), result, high) for name, result in many]

    def height(self, width: float) -> float:
        """Inches: one block below the other."""
        return sum(block.height for block in self.blocks)

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw them at their place."""
        letters = [letter] if letter else lettered(len(self.blocks))
        down = 0.0
        for block, here in zip_longest(self.blocks, letters, fillvalue=""):
            assert isinstance(block, _Block)
            block.draw(figure, Box(box.left, box.top + down, box.width, block.height), str(here))
            down += block.height

    def numbers(self) -> DataFrame:
        """A row for each token; by flow for each state."""
        import pandas as pd

        tables = [(name, chart.numbers(result)) for name, result in self.many]
        return pd.concat(
            [table.assign(run=name)[["run", *table.columns]] for name, table in tables], ignore_index=True
        )


class _Block:
    """What stands on paper of one result; sizes in inches."""

    def __init__(self, name: str, result: Result, high: float) -> None:
        self.result, self.high = result, high
        self.shots = chart.shots(result, SHOTS)
        self.cell = WIDTH / SHOTS
        tall, wide = self.shots[-1].pixels.shape[:2]
        self.picture = self.cell * min(tall / wide, MOST_TALL)
        texts = [name, *_texts(result)] if name else _texts(result)
        self.lines = [line for text in texts for line in wrapped(text, WIDTH - 4 * GAP - 0.2)]
        self.height = self.picture + 2 * LINE + 0.12 + LOWER + LINE * len(self.lines) + 0.12

    def draw(self, figure: Figure, box: Box, letter: str) -> None:
        def text(left: float, top: float, words: str, **look: Any) -> None:
            box.text(figure, left, top, words, va="baseline", **look)

        for column, shot in enumerate(self.shots):
            left = column * self.cell
            size = self.cell - 2 * GAP, self.picture - GAP
            _show(box.axes(figure, left + GAP, GAP, *size), shot.pixels)
            for line, words in enumerate((_short(shot.name), shot.note), start=1):
                text(left + self.cell / 2, self.picture + LINE * line, words, ha="center")
        top, side = self.picture + 2 * LINE + 0.12 + 0.05, LOWER - 0.45
        lower = top + LOWER - 0.05
        left = 0.45
        if chart.by_tokens(self.result):
            _show(
                box.axes(figure, GAP, top, side, side),
                chart.entropy_map(self.result, chart.AFTER, self.high),
            )
            bar = box.axes(figure, GAP + side + 0.08, top, 0.08, side)
            bar.imshow(cividis()[::-1, None].astype(np.uint8), aspect="auto", extent=(0, 1, 0, self.high))
            bar.set_xticks([])
            bar.yaxis.tick_right()
            bar.set_yticks([0, self.high / 2, self.high])
            text(GAP, lower - 0.24, "entropy after guidance (nats)")
            left += side + 0.75
        self._curves(box.axes(figure, left, top, WIDTH - left - 0.1, side))
        for line, words in enumerate(self.lines, start=1):
            text(GAP + 0.17, lower + LINE * line, words)
        if letter:
            text(GAP, lower + LINE, letter, weight="bold")

    def _curves(self, axes: Axes) -> None:
        colours = iter(OKABE_ITO)
        curves = chart.curves(self.result)
        for curve in curves:
            if curve.fine:
                axes.plot(curve.x, curve.y, color="0.7", linewidth=0.5, label=curve.name)
            else:
                axes.plot(curve.x, curve.y, "o-", color=next(colours), markersize=2, label=curve.name)
        axes.set_xlim(0, 100)
        axes.set_ylim(bottom=0)
        along, up = chart.axes(self.result)
        axes.set_xlabel(along)
        axes.set_ylabel(up)
        if len(curves) > 1:
            axes.legend(loc="lower right", handlelength=1.2)


def _show(axes: Axes, pixels: np.ndarray) -> None:
    axes.imshow(pixels, interpolation="nearest", aspect="equal")
    axes.set_anchor("S")
    axes.set_axis_off()


def _short(name: str) -> str:
    """A name for a narrow column."""
    return name.removeprefix("finished, ")


def _texts(result: Result) -> list[str]:
    """What was drawn, with what settings, and what to know of it: a paragraph each."""
    drawing = result.manifest["drawing"]
    used = drawing["settings"]
    words = [f"guidance {used['guidance']:g}", f"seed {used['seed']}"]
    if chart.by_tokens(result):
        top_k = used["top_k"]
        words += [
            f"temperature {used['temperature']:g}",
            f"top-k {top_k}" if top_k else "all tokens to choose from",
            f"{drawing['rows']} × {drawing['cols']} tokens of {drawing['codes']:,} codes",
        ]
    else:
        words += [f"{used['steps']} steps", f"shift {used['shift']:g}"]
    model = result.manifest["model"]["id"]
    told = [f"“{' '.join(result.config['prompt'].split())}”", f"{model}; {', '.join(words)}"]
    return [*told, drawing["caution"]] if drawing["caution"] else told
