"""Attributions on paper: a grid of maps, their agreement, and over a collection where methods point."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import Refusal
from workbench.panels.attribution.chart import (
    Map,
    Named,
    boxes_of,
    is_drawing,
    maps,
    of_image,
    of_measure,
    probability,
    targets_of,
)
from workbench.panels.attribution.names import ALL_LAYERS, LABELS
from workbench.panels.overlay import weighed, weighed_bar
from workbench.runs.export import COLUMN, OKABE_ITO, PAGE
from workbench.runs.parts import Box, composed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.runs.result import Result

ACROSS = 6
"""Pictures in a row of maps."""
TOP, TITLE, CURVE, LINE, GAP, SIDE = 0.2, 0.16, 0.3, 0.13, 0.08, 0.06
"""Inches: what is explained, a method's name, its curves, a line of numbers, between two, at the edges."""
COLOURS = {"deletion": OKABE_ITO[1], "insertion": OKABE_ITO[0]}
SHORT = {
    "deletion": "del",
    "insertion": "ins",
    "infidelity": "inf",
    "sensitivity": "sens",
    "energy": "mask",
}


def paper(
    results: Result | Sequence[Named], *, target: int = 0, stage: str = ALL_LAYERS, only: Sequence[str] = ()
) -> Figure:
    """Maps of one image and their agreement; of a collection where each method points."""
    many = list(results) if isinstance(results, Sequence) else [("", results)]
    if not of_image(many[0][1]):
        over = [pair for pair in many if not of_image(pair[1])]
        return composed([Pointing(over)], COLUMN)
    return composed([Maps([p for p in many if of_image(p[1])], target, stage, only)], PAGE)


class Maps:
    """The picture and a map for each method, with curves and numbers beneath, a block for each result."""

    wide = True
    beside = 0.0

    def __init__(
        self,
        many: Sequence[Named],
        target: int = 0,
        stage: str = ALL_LAYERS,
        only: Sequence[str] = (),
        *,
        curves: bool = True,
    ) -> None:
        for name, result in many:
            if not of_image(result):
                raise Refusal(f"{name or 'This result'} is of a collection and has no maps.")
        self.many, self.target, self.curves = list(many), target, curves
        self.found = [maps(result, target, stage, only) for _, result in many]

    def height(self, width: float) -> float:
        """Inches: one block below the other."""
        blocks = zip(self.many, self.found, strict=True)
        return sum(TOP + self._rows(result, found) * self._tall(result) for (_, result), found in blocks)

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw them at their place."""
        top = 0.0
        for (name, result), found in zip(self.many, self.found, strict=True):
            box.text(figure, 0.24, top + 0.04, _heading(name, result, self.target))
            top += TOP
            tall, side = self._tall(result), self._side
            tiles: list[Callable[[Figure, Box, Result], None]] = [
                self._picture,
                *([self._drawing] if is_drawing(result) else []),
            ]
            tiles += [partial(self._map, one=one) for one in found]
            for place, tile in enumerate(tiles):
                row, column = divmod(place, ACROSS)
                left, down = box.left + SIDE + column * (side + GAP), box.top + top + row * tall
                tile(figure, Box(left, down, side, tall), result)
            top += self._rows(result, found) * tall
        box.letter(figure, letter)

    def numbers(self) -> DataFrame:
        """Every map: a row for each result, method and cell, with the method's measures."""
        import pandas as pd

        tables = []
        for (name, result), found in zip(self.many, self.found, strict=True):
            boxes = boxes_of(result)
            for one in found:
                table = pd.DataFrame(boxes, columns=["x0", "y0", "x1", "y1"])
                about = {"run": name, "method": one.method, "stage": one.stage}
                tables.append(table.assign(**about, value=one.values, **one.measures))
        return pd.concat(tables, ignore_index=True)

    @property
    def _side(self) -> float:
        return (PAGE - 2 * SIDE - (ACROSS - 1) * GAP) / ACROSS

    def _picture_height(self, result: Result) -> float:
        height, width = result.images["shown"].shape[:2]
        return self._side * min(1.6, height / width)

    def _tall(self, result: Result) -> float:
        return TITLE + self._picture_height(result) + (CURVE + 0.05) * self.curves + 2 * LINE + 0.06

    @staticmethod
    def _rows(result: Result, found: Sequence[Map]) -> int:
        return math.ceil((len(found) + 1 + is_drawing(result)) / ACROSS)

    def _picture(self, figure: Figure, at: Box, result: Result) -> None:
        at.text(figure, 0, 0.02, "the input")
        high = self._picture_height(result)
        axes = _shown(figure, at, high, result.images["shown"])
        if "mask" in result.arrays:
            axes.contour(result.arrays["mask"], levels=[0.5], colors="white", linewidths=0.8)
        bar = at.axes(figure, 0, TITLE + high + 0.06, at.width, 0.08)
        bar.imshow(weighed_bar(), aspect="auto", extent=(-1, 1, 0, 1))
        bar.set_yticks([])
        bar.set_xticks([-1, 0, 1], ["against", "0", "for"], fontsize=6.5)
        labels = bar.get_xticklabels()
        labels[0].set_horizontalalignment("left")
        labels[-1].set_horizontalalignment("right")
        bar.tick_params(length=1.5, pad=1)
        for spine in bar.spines.values():
            spine.set_visible(False)

    def _drawing(self, figure: Figure, at: Box, result: Result) -> None:
        at.text(figure, 0, 0.02, "the drawing")
        high = self._picture_height(result)
        axes = _shown(figure, at, high, result.images["drawing"])
        axes.contour(result.arrays["patch"], levels=[0.5], colors="white", linewidths=0.8)
        at.text(figure, 0, TITLE + high + 0.04, targets_of(result)[1], fontsize=6.5, color="0.35")

    def _map(self, figure: Figure, at: Box, result: Result, one: Map) -> None:
        at.text(figure, 0, 0.02, one.label, fontsize=7.5)
        high = self._picture_height(result)
        _shown(figure, at, high, weighed(result.images["shown"], boxes_of(result), one.values))
        down = TITLE + high + 0.04
        if self.curves:
            axes = at.axes(figure, 0, down, at.width, CURVE)
            for way, curve in one.curves.items():
                axes.plot(np.linspace(0, 1, len(curve)), curve, color=COLOURS[way], lw=0.9)
            axes.set(xlim=(0, 1), ylim=(-0.03, 1.03), xticks=[], yticks=[])
            for name, spine in axes.spines.items():
                spine.set_visible(name in ("left", "bottom"))
                spine.set_color("0.6")
            down += CURVE + 0.02
        for number, names in enumerate((("deletion", "insertion"), ("infidelity", "energy"))):
            left = 0.0
            for name in names:
                if name in one.measures:
                    words = f"{SHORT[name]} {one.measures[name]:.2f}"
                    colour = COLOURS.get(name, "0.35")
                    at.text(figure, left, down + number * LINE, words, fontsize=6.5, color=colour)
                left += at.width / 2


class Agreement:
    """Spearman's rank correlation of every two methods' maps, as a matrix."""

    wide = False
    beside = 0.0
    LEFT, FOOT, KEPT = 1.2, 1.25, 0.1

    def __init__(self, many: Sequence[Named], target: int = 0) -> None:
        name, result = many[0]
        if len(many) > 1 or not of_image(result):
            raise Refusal("Agreement is that of the maps of one run of one image: name one such run.")
        self.name = name
        table = result.tables["agreement"]
        self.table = table[table["target"] == target]
        self.methods = list(dict.fromkeys(self.table["a"]))

    def height(self, width: float) -> float:
        """Inches: a square matrix with names beside and beneath it."""
        return 0.2 + (width - self.LEFT - self.KEPT) + self.FOOT

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw it at its place."""
        side = box.width - self.LEFT - self.KEPT
        axes = box.axes(figure, self.LEFT, 0.2, side, side)
        grid = self.table.pivot(index="a", columns="b", values="spearman")
        values = grid.reindex(index=self.methods, columns=self.methods).to_numpy(float)
        axes.imshow(values, cmap="PuOr_r", vmin=-1, vmax=1)
        for i, row in enumerate(values):
            for j, value in enumerate(row):
                if i != j and np.isfinite(value):
                    words = f"{value:+.1f}".replace("-0.", "\N{MINUS SIGN}.").replace("+0.", ".")
                    words = "0" if words.endswith(".0") and abs(value) < 0.5 else words
                    shade = "white" if abs(value) > 0.7 else "black"
                    axes.text(j, i, words, ha="center", va="center", fontsize=5.5, color=shade)
        names = [LABELS[name] for name in self.methods]
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(length=0, pad=2)
        for spine in axes.spines.values():
            spine.set_visible(False)
        box.text(figure, self.LEFT, 0.04, "rank agreement (Spearman)")
        box.letter(figure, letter)

    def numbers(self) -> DataFrame:
        """The rows of the table "agreement"."""
        return self.table.assign(run=self.name)


class Pointing:
    """One measure over a collection: a point with its interval for each method, and chance as a line."""

    wide = False
    beside = 0.0
    LEFT, RIGHT, STEP = 1.45, 0.12, 0.17

    def __init__(self, many: Sequence[Named], measure: str = "pointing") -> None:
        from workbench.panels.attribution.scores import CHANCE, MEASURES

        for name, result in many:
            if "pointing" not in result.tables:
                raise Refusal(
                    f"{name or 'This result'} is of one image; pointing is a mean over a collection."
                )
        self.many, self.title = list(many), MEASURES[measure]
        self.tables = [of_measure(result, measure) for _, result in many]
        first = self.tables[0]
        self.chance = float(first[first["method"] == CHANCE]["value"].iloc[0])
        rows = first[first["method"] != CHANCE].sort_values("value", ascending=False, kind="stable")
        self.methods = list(rows["method"])

    def height(self, width: float) -> float:
        """Inches: a line for each method."""
        return 0.28 + self.STEP * len(self.methods) + 0.4

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw it at its place."""
        count = len(self.methods)
        wide = box.width - self.LEFT - self.RIGHT
        axes = box.axes(figure, self.LEFT, 0.28, wide, self.STEP * count)
        spread = 0.5 / len(self.many)
        for number, table in enumerate(self.tables):
            rows = table.set_index("method").reindex(self.methods)
            value, low, high = (rows[name].to_numpy(float) for name in ("value", "low", "high"))
            y = np.arange(count) + spread * (number - (len(self.many) - 1) / 2)
            colour = OKABE_ITO[number % len(OKABE_ITO)]
            axes.errorbar(
                value, y, xerr=np.stack([value - low, high - value]), fmt="o", ms=3, lw=0.9, color=colour
            )
        axes.axvline(self.chance, color="0.5", lw=0.7, ls=(0, (4, 3)), zorder=0)
        axes.set(xlim=(-0.02, 1.02), ylim=(count - 0.5, -0.5))
        axes.set_yticks(range(count), [LABELS[name] for name in self.methods])
        axes.tick_params(length=2, pad=1.5)
        axes.set_xlabel(self.title, labelpad=1)
        counts = sorted({int(n) for table in self.tables for n in table["n"]})
        box.text(figure, box.width - self.RIGHT, 0.08, f"n = {counts[-1]:,}", ha="right", color="0.4")
        box.text(figure, self.LEFT, 0.08, f"dashed: chance, {self.chance:.2f}", color="0.4")
        for number, (name, _) in enumerate(self.many if len(self.many) > 1 else []):
            words, colour = name, OKABE_ITO[number % len(OKABE_ITO)]
            box.text(figure, 0.24, 0.08 + 0.14 * number, words, color=colour)
        box.letter(figure, letter)

    def numbers(self) -> DataFrame:
        """The rows of the table "pointing" that are drawn."""
        import pandas as pd

        pairs = zip(self.many, self.tables, strict=True)
        return pd.concat([table.assign(run=name) for (name, _), table in pairs], ignore_index=True)


def _heading(name: str, result: Result, target: int) -> str:
    answer = result.tables["answer"].iloc[0]
    row = result.tables["targets"].iloc[target]
    asked = f"“{result.config['question']}” → “{answer['answer']}”"
    if is_drawing(result):
        return f"{f'{name}: ' if name else ''}“{result.config['question']}”, {targets_of(result)[target]}"
    about = "" if not target and not row["difference"] else f", {targets_of(result)[target]}"
    return f"{f'{name}: ' if name else ''}{asked}{about}, {probability(float(row['probability']))}"


def _shown(figure: Figure, at: Box, high: float, pixels: np.ndarray) -> Axes:
    axes = at.axes(figure, 0, TITLE, at.width, high)
    axes.imshow(pixels, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    return axes
