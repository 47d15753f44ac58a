"""How curves are told apart and what stands at their ends, on the screen as on paper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from textwrap import wrap
from typing import Literal

import numpy as np

from workbench.panels.layers.axis import LONGEST_TITLE, Chart, Curve, signed
from workbench.panels.layers.table import REFERENCE
from workbench.runs.export import OKABE_ITO

Theme = Literal["light", "dark"]

ON_DARK = ("#4FA8DE", "#F28A3C", "#2DBE93", "#E29CC5", "#F0B429", "#8FD0F5", "#F0E442", "#FFFFFF")
"""The colours of OKABE_ITO, lighter, for a dark ground."""
DASHES = ("solid", "dash", "dot", "dashdot")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
MOST_GUIDES = 3
"""With more curves than this the dashed line from "llm 0" across is left out."""


@dataclass(frozen=True)
class EndLabel:
    """What stands at the right end of a curve, or of a chance level (curve: None).

    lines: of text, from the top. value: where the curve or level ends.
    """

    lines: tuple[str, ...]
    value: float
    curve: Curve | None


def colour_of(curve: Curve, drawn: Chart, theme: Theme | Literal["paper"]) -> str:
    """By result where several are laid over each other, by measure where there is one."""
    palette = ON_DARK if theme == "dark" else OKABE_ITO
    return palette[_rank(curve, drawn) % len(palette)]


def marker_of(curve: Curve, drawn: Chart) -> str:
    """Matplotlib's name of a marker, a second sign beside the colour: prints in grey tell them apart."""
    return MARKERS[_rank(curve, drawn) % len(MARKERS)]


def dash_of(curve: Curve, drawn: Chart) -> str:
    """By measure where several results are laid over each other; solid where there is one."""
    return DASHES[curve.measure % len(DASHES)] if _several(drawn) else "solid"


def _rank(curve: Curve, drawn: Chart) -> int:
    return curve.source if _several(drawn) else curve.measure


def _several(drawn: Chart) -> bool:
    return len({curve.source for curve in drawn.curves}) > 1


def axis_title(drawn: Chart) -> str:
    """The quantity and its direction."""
    arrow = drawn.group.direction[-1:] if drawn.group.direction else ""
    return f"{drawn.group.axis} {arrow}".strip()


def scaled(drawn: Chart, value: float) -> float:
    """A value in the coordinates of the axis: its logarithm on a logarithmic one."""
    return math.log10(max(value, 1e-12)) if drawn.group.log else value


def limits(drawn: Chart) -> tuple[float, float]:
    """Lowest and highest place on the axis that is drawn to, never the same."""
    low, high = (scaled(drawn, value) for value in drawn.span)
    if high - low < 1e-6:
        low, high = low - 0.5, high + 0.5
    return low, high


def end_labels(drawn: Chart, *, room: int, intervals: bool) -> list[EndLabel]:
    """The labels at the right end, of `room` lines in all if that can be.

    A curve has its name, the drop from "llm 0" and, with `intervals`, the interval of the drop; what there is
    no room for is left out of all of them, the interval first.
    """
    chance = _chance_labels(drawn)
    for detail in (2 if intervals else 1, 1, 0):
        labels = [label for curve in drawn.curves if (label := _curve_label(curve, detail))]
        if sum(len(label.lines) for label in (*labels, *chance)) <= room:
            break
    return labels + chance


def _curve_label(curve: Curve, detail: int) -> EndLabel | None:
    known = np.flatnonzero(np.isfinite(curve.value))
    if not len(known):
        return None
    drop, low, high = curve.drop
    name, about = _broken(curve.label), []
    if math.isfinite(drop):
        size = max(abs(number) for number in curve.drop if math.isfinite(number))
        about.append(f"{signed(drop, size)} from {REFERENCE}")
        if math.isfinite(low):
            about.append(f"[{signed(low, size)}, {signed(high, size)}]")
    return EndLabel((*name, *about[:detail]), float(curve.value[known[-1]]), curve)


def _broken(name: str) -> tuple[str, ...]:
    """A name on one line or, where it is long and has a comma, on two."""
    first, comma, second = name.rpartition(", ")
    return (f"{first},", second) if comma and len(name) > LONGEST_TITLE else (name,)


def _chance_labels(drawn: Chart) -> list[EndLabel]:
    """A label for each level of chance that the eye can tell from the last; several say whose they are."""
    low, high = limits(drawn)
    levels: list[tuple[float, dict[str, None]]] = []
    known = [curve for curve in drawn.curves if math.isfinite(curve.chance[-1])]
    for curve in sorted(known, key=lambda curve: float(curve.chance[-1])):
        level = float(curve.chance[-1])
        if not levels or scaled(drawn, level) - scaled(drawn, levels[-1][0]) > 0.12 * (high - low):
            levels.append((level, {}))
        levels[-1][1][curve.chance_of] = None

    def words(level: float, whose: str = "") -> tuple[str, ...]:
        beyond = "" if low <= scaled(drawn, level) <= high else f" {level:.2g}, not in view".replace("-", "−")
        return tuple(wrap(f"chance{beyond}{whose}", LONGEST_TITLE))

    if len(levels) == 1:
        return [EndLabel(words(levels[0][0]), levels[0][0], None)]
    return [EndLabel(words(level, f", {' and '.join(names)}"), level, None) for level, names in levels]
