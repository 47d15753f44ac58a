"""Readers whose penalty, or number of neighbours, is the last one of those that were tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.panels.layers.axis import Named
from workbench.panels.layers.measures import GROUPS
from workbench.panels.titles import shortened

if TYPE_CHECKING:
    from pandas import DataFrame


def at_edge(curves: DataFrame) -> DataFrame:
    """The rows of a table of curves whose choice is such; none of a result from before that was kept."""
    return curves[curves["edge"].eq(True)] if "edge" in curves else curves.iloc[:0]


def edges(many: Sequence[Named], group: str) -> str:
    """A sentence about what a group shows of these results; empty where validation chose from within."""
    said = []
    titles = shortened([name for name, _ in many])
    for name, (_, result) in zip(titles, many, strict=True):
        found = at_edge(result.tables["curves"])
        found = found[found["measure"].isin(GROUPS[group].among(found["measure"]))]
        of = f"{name}, " if len(many) > 1 else ""
        for (measure, chosen), rows in found.groupby(["measure", "chosen"], sort=False):
            stages = rows.sort_values("index")["stage"].tolist()
            said.append(f"{of}{measure} at {_listed(stages)} ({chosen})")
    if not said:
        return ""
    return (
        "Validation chose the last value that was tried, so a reader with one beyond it might read more: "
        f"{'; '.join(said)}."
    )


def _listed(stages: list[str]) -> str:
    return ", ".join(stages) if len(stages) <= 3 else f"{len(stages)} stages from {stages[0]} to {stages[-1]}"
