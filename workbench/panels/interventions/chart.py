"""What is drawn of effects: a point with its interval for each state, a series for each route or result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import Refusal
from workbench.panels.interventions.config import OWN
from workbench.panels.interventions.effects import MEASURES
from workbench.panels.titles import shortened

if TYPE_CHECKING:
    from pandas import DataFrame

    from workbench.runs.result import Result

Named = tuple[str, "Result"]
"""A result with its name."""
SHORT: dict[str, str] = {
    OWN: "own drawing",
    "none": "no drawing",
    "degraded": "degraded image",
    "clean": "clean image",
    "other": "another image",
    "blank": "blank",
    "noise": "noise",
    "painted": "painted edit",
}
WITH_OWN = ("accuracy",)
"""Measures that the drawing itself has a value of; of the others it is the zero."""


@dataclass(frozen=True)
class Series:
    """One route of one result: arrays (states,), NaN where there is nothing."""

    label: str
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Chart:
    """One measure: its axis' title, the route where it is one of several results, the states from top to
    bottom, the series; n in words.
    """

    measure: str
    title: str
    route: str
    states: tuple[str, ...]
    series: tuple[Series, ...]
    counted: str

    @property
    def zero(self) -> bool:
        """Whether no effect stands at zero."""
        return self.measure not in WITH_OWN


def held(result: Result) -> list[str]:
    """The measures that a result holds, in their order; none where it is of one image."""
    table = result.tables.get("effects")
    if table is None:
        return []
    found = set(table["measure"])
    return [measure for measure in MEASURES if measure in found]


def chart(many: Sequence[Named], measure: str, route: str = "") -> Chart:
    """One measure of one result, a series for each route; or of several, a series for each, by one route.

    `route`: by default all of one result, and the first that several have in common.

    Raises:
        Refusal: a result is of one image, or lacks the measure or the route.
    """
    tables = [(name, _rows(name, result, measure)) for name, result in many]
    routes = [r for r in dict.fromkeys(tables[0][1]["route"]) if all(r in set(t["route"]) for _, t in tables)]
    if route and route not in routes or not routes:
        have = f"they have {', '.join(routes)} in common" if routes else "they have none in common"
        raise Refusal(f"Not every result has the route {route or 'that is asked for'!r}; {have}.")
    several = len(many) > 1
    shown = [route] if route else routes[:1] if several else routes
    states = [s for s in SHORT if any((t["state"] == s).any() for _, t in tables)]
    if measure not in WITH_OWN:
        states.remove(OWN)
    series = []
    names = shortened([name for name, _ in many])
    for name, (_, table) in zip(names, tables, strict=True):
        for each in shown:
            here = table[table["route"] == each].set_index("state").reindex(states)
            label = name if several else each
            values = (here[column].to_numpy(float) for column in ("value", "low", "high"))
            series.append(Series(label, *values))
    counts = sorted({int(n) for _, t in tables for n in t["n"]})
    counted = f"n = {counts[0]:,}" + (f" to {counts[-1]:,}" if len(counts) > 1 else "") + " images"
    by = f"route {shown[0]}" if several else ""
    return Chart(measure, MEASURES[measure], by, tuple(states), tuple(series), counted)


def _rows(name: str, result: Result, measure: str) -> DataFrame:
    found = held(result)
    if measure not in found:
        said = f"it has {', '.join(found)}" if found else "it is of one image, and shows its pictures"
        raise Refusal(f"{name or 'This result'} has no measure {measure!r}; {said}.")
    table = result.tables["effects"]
    return table[table["measure"] == measure]
