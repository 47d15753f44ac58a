"""Pictures side by side with their numbers and a map, and curves over denoising: the parts of a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import Refusal
from workbench.panels.overlay import cividis
from workbench.panels.perceptual.reading import (
    Named,
    arrow,
    coloured,
    curves,
    ends_of,
    foremost,
    left_out,
    map_title,
    maps_of,
    measures_of,
    number,
    places,
    seen,
    shown_places,
    span,
    spread,
    title,
    value,
)
from workbench.panels.perceptual.study import image_name
from workbench.runs.export import OKABE_ITO, PAGE
from workbench.runs.parts import LETTER, Box, Part, composed, lettered
from workbench.runs.wrapping import wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.runs.result import Result

INDENT, GAP, SCALE = 0.2, 0.1, 0.86
"""Inches before the pictures, between them, and for the scale of the map."""
LINE = 0.14
MOST_TALL = 1.5
"""Height over width of a picture's place, at most."""
COLUMNS = 4
"""Pictures and map of a row."""


def paper(
    results: Result | Sequence[Named],
    *,
    kind: str = "",
    pair: tuple[int, int] | None = None,
    measures: Sequence[str] = (),
) -> Figure:
    """Pictures, map and numbers of each result, and below them curves where there are denoising steps.

    kind: which map. pair: whose map and which last picture, by place, of the first result. measures: whose
    numbers; by default a few that say most.

    Raises:
        Refusal: a result does not hold what is asked.
    """
    many = list(results) if isinstance(results, Sequence) else [("", results)]
    parts: list[Part] = [Pictures(many, kind=kind, pair=pair, measures=measures)]
    wanted = measures or foremost(many[0][1])
    parts += [Curves(many, name) for name in wanted if any(curves(result, name) for _, result in many)][:2]
    return composed(parts, PAGE)


class Pictures:
    """A row for each result: reference, degraded, restored (or what was given), where the last differs."""

    wide = True
    beside = 0.0

    def __init__(
        self,
        many: Sequence[Named],
        *,
        kind: str = "",
        pair: tuple[int, int] | None = None,
        measures: Sequence[str] = (),
    ) -> None:
        """As `paper`. Raises Refusal where a result has no such map or measure."""
        self.many, self.pair = list(many), pair
        self.kind = kind or maps_of(many[0][1], self._pair(many[0][1]))[0]
        self.measures = list(measures) or foremost(many[0][1])
        for name, result in many:
            held = maps_of(result, self._pair(result))
            if self.kind not in held:
                raise Refusal(f"{name or 'The result'} has no map of {self.kind}; it has {', '.join(held)}.")
            for measure in self.measures:
                if measure not in measures_of(result):
                    why = " ".join(left_out(result, [measure]))
                    raise Refusal(f"{name or 'The result'} holds no {measure}. {why}".strip())

    def _places(self, result: Result) -> list[int]:
        if self.pair is not None and max(self.pair) < len(places(result)):
            k, reference = self.pair
            between = [place for place in shown_places(result)[1:] if place not in self.pair]
            return [reference, *between[:1], k]
        return shown_places(result)

    def _pair(self, result: Result) -> tuple[int, int]:
        chosen = self._places(result)
        return chosen[-1], chosen[0]

    @property
    def _cell(self) -> float:
        return (PAGE - INDENT - SCALE - GAP * (COLUMNS - 1)) / COLUMNS

    def _tall(self, result: Result) -> float:
        height, width = result.images[image_name(0)].shape[:2]
        return self._cell * min(height / width, MOST_TALL)

    def _lines(self, result: Result) -> list[str]:
        return wrapped(f"{result.manifest['size'][:1].upper()}{result.manifest['size'][1:]}.", PAGE - INDENT)

    def _high(self, name: str, result: Result) -> float:
        named = LINE + 0.04 if name and len(self.many) > 1 else 0.0
        beneath = LINE * (1 + len(self.measures) + len(self._lines(result)))
        return named + self._tall(result) + beneath + 0.22

    def height(self, width: float) -> float:
        """Inches: one row below the other."""
        return 0.1 + sum(self._high(name, result) for name, result in self.many)

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw them at their place; the maps of all results have one scale."""
        maps = [spread(result, self.kind, self._pair(result)) for _, result in self.many]
        between = span(self.kind, maps)
        letters = [letter] if letter else lettered(len(self.many))
        down = 0.1
        for at, (name, result) in enumerate(self.many):
            here = Box(box.left, box.top + down, box.width, self._high(name, result))
            here.letter(figure, letters[at] if at < len(letters) else "")
            top = 0.0
            if name and len(self.many) > 1:
                here.text(figure, INDENT, LETTER, name)
                top = LINE + 0.04
            self._row(figure, here, top, result, coloured(maps[at], between), between)
            down += self._high(name, result)

    def _row(
        self,
        figure: Figure,
        here: Box,
        top: float,
        result: Result,
        drawn: np.ndarray,
        between: tuple[float, float],
    ) -> None:
        chosen, names, tall, cell = self._places(result), places(result), self._tall(result), self._cell
        shots = [(names[k], seen(result, k)) for k in chosen]
        shots.append(("where it differs", drawn))
        for column, (words, pixels) in enumerate(shots):
            left = INDENT + column * (cell + GAP)
            axes = here.axes(figure, left, top, cell, tall)
            axes.imshow(pixels, interpolation="nearest", aspect="equal")
            axes.set_anchor("S")
            axes.set_axis_off()
            lines = [wrapped(words, cell)[0]]
            if 0 < column < len(chosen):
                found = [(name, value(result, name, (chosen[column], chosen[0]))) for name in self.measures]
                lines += [
                    f"{title(name)} {arrow(name)} {number(name, v)}" for name, v in found if not math.isnan(v)
                ]
            elif column == 0:
                lines.append("reference")
            else:
                lines += wrapped(map_title(self.kind), cell)
            for line, text in enumerate(lines):
                here.text(figure, left + cell / 2, top + tall + 0.04 + LINE * line, text, ha="center")
        left = INDENT + len(shots) * (cell + GAP)
        bar = here.axes(figure, left, top, 0.08, tall)
        bar.imshow(cividis()[::-1, None].astype(np.uint8), aspect="auto", extent=(0, 1, *between))
        bar.set_xticks([])
        bar.yaxis.tick_right()
        low, high = ends_of(self.kind, between)
        bar.set_yticks(between, [low, high.replace("1 and above", "\N{GREATER-THAN OR EQUAL TO} 1")])
        bar.tick_params(length=2, pad=1.5)
        bar.spines[:].set_visible(False)
        beneath = top + tall + 0.04 + LINE * (1 + len(self.measures))
        for line, text in enumerate(self._lines(result)):
            here.text(figure, INDENT, beneath + 0.04 + LINE * line, text)

    def numbers(self) -> DataFrame:
        """All scores, with the name of the run."""
        return scores(self.many)


class Curves:
    """One measure over the denoising steps, a curve for each drawing; dotted: the degraded picture."""

    wide = False

    def __init__(self, many: Sequence[Named], measure: str) -> None:
        """Raises Refusal where there is no such curve."""
        self.measure = measure
        self.found = [
            (", ".join(filter(None, [name if len(many) > 1 else "", curve.name])), curve)
            for name, result in many
            for curve in (curves(result, measure) if measure in measures_of(result) else [])
        ]
        if not self.found:
            raise Refusal(
                f"There is no {measure} over denoising steps: nothing was drawn, or it was not measured."
            )

    @property
    def beside(self) -> float:
        """Inches for the names at the ends of the curves."""
        from workbench.runs.wrapping import inches

        return max(inches(name) for name, _ in self.found) + 0.06 if self._named else 0.0

    @property
    def _named(self) -> bool:
        return len(self.found) > 1

    def height(self, width: float) -> float:
        """Inches."""
        return 1.95

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw it at its place."""
        box.letter(figure, letter)
        axes = box.axes(figure, 0.55, 0.2, box.width - 0.7 - beside, box.height - 0.68)
        for k, (_, curve) in enumerate(self.found):
            colour = OKABE_ITO[k % len(OKABE_ITO)]
            axes.plot(curve.x, curve.y, "o-", color=colour, markersize=2)
            if math.isfinite(curve.before):
                axes.axhline(curve.before, color=colour, linewidth=0.7, linestyle=":")
        bottom, top = axes.get_ylim()
        ends = spaced([curve.y[-1] for _, curve in self.found], 0.14 * (top - bottom) / (box.height - 0.68))
        for k, ((name, curve), at) in enumerate(zip(self.found, ends, strict=True)):
            if self._named:
                axes.annotate(
                    name, (curve.x[-1], at), (5, 0), textcoords="offset points", va="center",
                    color=OKABE_ITO[k % len(OKABE_ITO)], annotation_clip=False,
                )  # fmt: skip
        axes.set_xlabel("denoising step (dotted: degraded)")
        unit = " (dB)" if self.measure == "psnr" else ""
        axes.set_ylabel(f"{title(self.measure)}{unit} {arrow(self.measure)}")
        axes.locator_params(axis="x", integer=True)

    def numbers(self) -> DataFrame:
        """A row for each point."""
        import pandas as pd

        rows = [
            {"curve": name, "measure": self.measure, "step": x, "value": y, "degraded": curve.before}
            for name, curve in self.found
            for x, y in zip(curve.x, curve.y, strict=True)
        ]
        return pd.DataFrame(rows)


def spaced(values: Sequence[float], least: float) -> list[float]:
    """The values moved apart upwards as little as keeps neighbours `least` from one another."""
    found = list(values)
    order = sorted(range(len(found)), key=found.__getitem__)
    for below, above in zip(order, order[1:], strict=False):
        found[above] = max(found[above], found[below] + least)
    return found


def scores(many: Sequence[Named]) -> DataFrame:
    """All scores of these results, with the name of the run."""
    import pandas as pd

    tables = [result.tables["scores"].assign(run=name) for name, result in many]
    return pd.concat([t[["run", *t.columns.drop("run")]] for t in tables], ignore_index=True)
