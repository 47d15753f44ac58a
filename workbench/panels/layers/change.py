"""A table of what is lost between what enters the language model and its last layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import Refusal
from workbench.panels.layers.axis import Named, plain, signed
from workbench.panels.layers.edges import at_edge
from workbench.panels.layers.table import REFERENCE
from workbench.runs.parts import Table

if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Any


def change(many: Sequence[Named], measures: Sequence[str] = ()) -> Table:
    """For each result and measure: the value at "llm 0", at the last stage, and the paired difference.

    `measures`: which, in this order; without them, every one whose difference has an interval.

    Raises:
        Refusal: a result holds none of them, or has no "llm 0".
    """
    import pandas as pd

    rows = [row for name, result in many for row in _rows(name, result.tables["curves"], measures)]
    if not rows:
        raise Refusal(
            f"These results hold no change from {REFERENCE} with an interval: one picture leaves nothing "
            "to resample. Run the study on the probe set, or name measures."
        )
    several = len(many) > 1
    edge = any(row["at the grid's end"] for row in rows)
    return Table(pd.DataFrame(rows), pd.DataFrame([_written(row, several, edge) for row in rows]))


def _rows(name: str, curves: Any, measures: Sequence[str]) -> list[dict[Hashable, Any]]:
    held = list(dict.fromkeys(curves["measure"]))
    if missing := [measure for measure in measures if measure not in held]:
        raise Refusal(
            f"There is no measure {missing[0]!r} in {name or 'this result'}; it has {', '.join(held)}."
        )
    out: list[dict[Hashable, Any]] = []
    for measure in measures or held:
        here = curves[curves["measure"] == measure].sort_values("index")
        first, last = here[here["stage"] == REFERENCE], here.iloc[-1]
        if not len(first) or (not measures and not np.isfinite(last["delta_low"])):
            continue
        before = first.iloc[0]
        out.append(
            {
                "run": name,
                "measure": measure,
                "first stage": REFERENCE,
                "first": before["value"],
                "first low": before["low"],
                "first high": before["high"],
                "last stage": last["stage"],
                "last": last["value"],
                "last low": last["low"],
                "last high": last["high"],
                "change": last["delta"],
                "change low": last["delta_low"],
                "change high": last["delta_high"],
                "intervals apart": bool(last["high"] < before["low"] or last["low"] > before["high"]),
                "chance at the last": last["chance"],
                "majority at the last": last["majority"],
                "at the grid's end": ", ".join(at_edge(here.loc[[before.name, last.name]])["stage"]),
                "n": int(last["n"]),
                "of": last["of"],
            }
        )
    return out


def _written(row: dict[Hashable, Any], several: bool, edge: bool) -> dict[str, str]:
    """The same for reading; `edge`: with the stages at which the last penalty of a grid was chosen."""

    def between(value: str, low: str, high: str) -> str:
        inside = f" [{plain(row[low])}, {plain(row[high])}]" if np.isfinite(row[low]) else ""
        return plain(row[value]) + inside

    difference = signed(row["change"])
    if np.isfinite(row["change low"]):
        difference += f" [{signed(row['change low'])}, {signed(row['change high'])}]"
    chance, majority = (
        plain(row[of]) if np.isfinite(row[of]) else ""
        for of in ("chance at the last", "majority at the last")
    )
    ends = {"penalty at its grid's end": str(row["at the grid's end"])} if edge else {}
    return ({"condition": row["run"]} if several else {}) | {
        "measure": row["measure"],
        row["first stage"]: between("first", "first low", "first high"),
        "last layer": f"{between('last', 'last low', 'last high')} ({row['last stage']})",
        "change, paired": difference,
        "intervals apart": "yes" if row["intervals apart"] else "no",
        "chance": chance,
        "commonest": majority,
        **ends,
        "n": f"{row['n']:,} {row['of']}",
    }
