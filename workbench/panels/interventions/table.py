"""The effects as one table for a paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from workbench.errors import Refusal
from workbench.panels.interventions.chart import SHORT, Named, held
from workbench.panels.interventions.config import OWN
from workbench.panels.layers.axis import signed
from workbench.runs.parts import Table

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = {
    "delta": "Δ log p, nats",
    "flips": "answers that change, %",
    "accuracy": "right ↑, %",
    "right to wrong": "right → wrong, %",
    "wrong to right": "wrong → right, %",
}


def table(many: Sequence[Named], route: str = "") -> Table:
    """A row for each state and route of each result. Raises Refusal where one is of one image."""
    numbers, written = [], []
    for name, result in many:
        if not held(result):
            raise Refusal(f"{name or 'This result'} is of one image: a table needs a collection.")
        effects = result.tables["effects"]
        effects = effects[effects["route"] == route] if route else effects
        if not len(effects):
            raise Refusal(f"{name or 'This result'} has no route {route!r}.")
        numbers.append(effects.assign(run=name)[["run", *effects.columns]])
        for (each, state), rows in effects.groupby(["route", "state"], sort=False):
            first = {"run": name} if len(many) > 1 else {}
            written.append(
                first | {"route": str(each), "instead": SHORT[str(state)]} | _cells(rows, str(state))
            )
    return Table(pd.concat(numbers, ignore_index=True), pd.DataFrame(written))


def _cells(rows: DataFrame, state: str) -> dict[str, str]:
    found = rows.set_index("measure").to_dict("index")
    cells = {}
    for measure, title in COLUMNS.items():
        row = found.get(measure)
        alone = state == OWN and measure != "accuracy"
        if row is None or alone or not math.isfinite(float(row["value"])):
            cells[title] = ""
            continue
        value, low, high = (float(row[name]) for name in ("value", "low", "high"))
        if measure == "delta":
            cells[title] = f"{signed(value)} [{signed(low)}, {signed(high)}]"
        else:
            cells[title] = f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    counts = [int(row["n"]) for measure, row in found.items() if measure in COLUMNS]
    return cells | {"n": " to ".join(f"{n:,}" for n in sorted({min(counts), max(counts)}))}
