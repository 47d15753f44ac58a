"""The figures of a robustness study: on paper as one of a few arrangements, on the screen one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.errors import Refusal
from workbench.panels.robustness.chart import Named
from workbench.panels.robustness.shows import BARS, GAIN, HEAT, SEVERITY, SHOWS, SWEEP, TRIGGER, part
from workbench.runs.export import COLUMN, PAGE
from workbench.runs.parts import Part, composed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from workbench.runs.result import Result

NAMES = (BARS, SEVERITY, HEAT, TRIGGER, GAIN, SWEEP)


def held(many: Sequence[Named]) -> dict[str, Part]:
    """What of SHOWS these results hold, by name."""
    found: dict[str, Part] = {}
    for name in NAMES:
        try:
            found[name] = part(many, name, SHOWS[name]())
        except Refusal:
            continue
    return found


def paper(results: Result | Sequence[Named], show: str = "") -> Figure:
    """One figure by its name; without one, all that the results hold on a page."""
    many = list(results) if isinstance(results, Sequence) else [("", results)]
    if show:
        only = part(many, show, SHOWS[show]())
        return composed([only], PAGE if only.wide else COLUMN)
    return composed(list(held(many).values()), PAGE)
