"""A drawing on paper: the filmstrip, below it the entropy map and the curve over the drawing's course."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.panels.drawing import chart
from workbench.panels.overlay import cividis
from workbench.panels.states.figure import wrapped
from workbench.runs.export import OKABE_ITO
from workbench.runs.export import PAGE as WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from workbench.runs.result import Result

SHOTS = 6
GAP = 0.04
"""Inches around a picture."""
LINE = 0.14
"""Inches from one line of text to the next."""
LOWER = 1.75
"""Height in inches of map and curve with what stands below them."""
MOST_TALL = 2.0
"""Height over width of a picture's place, at most."""


def paper(results: Result | Sequence[Result]) -> Figure:
    """One block for each result, 6.75 in wide; the maps of all have one scale of colours."""
    from matplotlib.figure import Figure

    from workbench.runs.export import paper_style

    many = [results] if not isinstance(results, Sequence) else list(results)
    drawn = [result for result in many if chart.by_tokens(result)]
    high = chart.top(drawn) if drawn else 0.0
    with paper_style():
        blocks = [_Block(result, high) for result in many]
        figure = Figure(figsize=(WIDTH, sum(block.height for block in blocks)))
        top = figure.get_figheight()
        for number, block in enumerate(blocks):
            block.draw(figure, top, chr(ord("a") + number % 26) if len(blocks) > 1 else "")
            top -= block.height
    return figure


class _Block:
    """What stands on paper of one result; sizes in inches."""

    def __init__(self, result: Result, high: float) -> None:
        self.result, self.high = result, high
        self.shots = chart.shots(result, SHOTS)
        self.cell = WIDTH / SHOTS
        tall, wide = self.shots[-1].pixels.shape[:2]
        self.picture = self.cell * min(tall / wide, MOST_TALL)
        self.lines = [line for text in _texts(result) for line in wrapped(text, WIDTH - 4 * GAP - 0.2)]
        self.height = self.picture + 2 * LINE + 0.12 + LOWER + LINE * len(self.lines) + 0.12

    def draw(self, figure: Figure, top: float, letter: str) -> None:
        height = figure.get_figheight()

        def axes(left: float, bottom: float, width: float, tall: float) -> Axes:
            return figure.add_axes((left / WIDTH, bottom / height, width / WIDTH, tall / height))

        def text(x: float, y: float, words: str, **look: Any) -> None:
            figure.text(x / WIDTH, y / height, words, fontsize=8, **look)

        bottom = top - self.picture
        for column, shot in enumerate(self.shots):
            left = column * self.cell
            _show(axes(left + GAP, bottom, self.cell - 2 * GAP, self.picture - GAP), shot.pixels)
            for line, words in enumerate((_short(shot.name), shot.note), start=1):
                text(left + self.cell / 2, bottom - LINE * line, words, ha="center")
        lower = bottom - 2 * LINE - 0.12 - LOWER
        left = 0.45
        if chart.by_tokens(self.result):
            side = LOWER - 0.45
            _show(axes(GAP, lower + 0.4, side, side), chart.entropy_map(self.result, chart.AFTER, self.high))
            bar = axes(GAP + side + 0.08, lower + 0.4, 0.08, side)
            bar.imshow(cividis()[::-1, None].astype(np.uint8), aspect="auto", extent=(0, 1, 0, self.high))
            bar.set_xticks([])
            bar.yaxis.tick_right()
            bar.set_yticks([0, self.high / 2, self.high])
            text(GAP, lower + 0.24, "entropy after guidance (nats)")
            left += side + 0.75
        self._curves(axes(left, lower + 0.4, WIDTH - left - 0.1, LOWER - 0.45))
        for line, words in enumerate(self.lines, start=1):
            text(GAP + 0.17, lower - LINE * line, words)
        if letter:
            text(GAP, lower - LINE, letter, weight="bold")

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
