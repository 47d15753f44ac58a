"""Recovery by stage as a table for a paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.errors import Refusal
from workbench.panels.causal.chart import Named, share
from workbench.panels.causal.config import TOKEN_NAMES
from workbench.panels.layers.axis import signed
from workbench.runs.parts import Table

if TYPE_CHECKING:
    from pandas import DataFrame


def recovery_table(many: Sequence[Named], measure: str = "log p", *, language: bool = True) -> Table:
    """A row for each stage and kind of tokens: restored and damaged share, of each result.

    `language`: of the language model's stages alone.
    """
    import pandas as pd

    numbers, written = [], []
    for name, result in many:
        rows = _of(name, result.tables.get("recovery"), "recovery: it exchanged no tokens")
        rows = rows[rows["measure"] == measure].sort_values(["tokens", "index"], kind="stable")
        rows = rows[rows["band"] == "llm"] if language else rows
        numbers.append(rows.assign(run=name)[["run", *rows.columns]])
        for (tokens, stage), some in rows.groupby(["tokens", "stage"], sort=False):
            cells = {"run": name} if len(many) > 1 else {}
            cells |= {"exchanged": TOKEN_NAMES[str(tokens)], "stage": str(stage)}
            by = some.set_index("direction").to_dict("index")
            for direction, title in (("restore", "undone ↑"), ("damage", "done")):
                cells[title] = _cell(by[direction]) if direction in by else ""
            cells["n"] = f"{int(some['n'].iloc[0]):,}"
            written.append(cells)
    return Table(pd.concat(numbers, ignore_index=True), pd.DataFrame(written))


def knockout_table(many: Sequence[Named]) -> Table:
    """A row for each path and window: what blocking it does to the answer's probability, of each result."""
    import pandas as pd

    from workbench.panels.causal.config import PATH_NAMES
    from workbench.panels.causal.effects import EVERY_LAYER

    numbers, written = [], []
    for name, result in many:
        rows = _of(name, result.tables.get("blocked"), "knockout: it blocked no attention")
        numbers.append(rows.assign(run=name)[["run", *rows.columns]])
        for (path, layer, first, last), some in rows.groupby(["path", "layer", "first", "last"], sort=False):
            by = some.set_index("measure").to_dict("index")
            layers = "all" if layer == EVERY_LAYER else f"{first}–{last}" if last > first else f"{first}"
            cells = {"run": name} if len(many) > 1 else {}
            cells |= {"blocked": PATH_NAMES[str(path)], "layers": layers}
            cells["change of probability, %"] = _signed(by["relative"], 100.0)
            cells["Δ log p, nats"] = _signed(by["nats"], 1.0)
            cells["n"] = f"{int(some['n'].iloc[0]):,}"
            written.append(cells)
    return Table(pd.concat(numbers, ignore_index=True), pd.DataFrame(written))


def _of(name: str, table: DataFrame | None, what: str) -> DataFrame:
    if table is None or not len(table):
        raise Refusal(f"{name or 'This result'} holds no {what}.")
    return table


def _cell(row: dict[str, float]) -> str:
    value = share(float(row["value"]))
    if not math.isfinite(float(row["low"])):
        return value
    return f"{value} [{share(float(row['low']))}, {share(float(row['high']))}]"


def _signed(row: dict[str, float], scale: float) -> str:
    value = scale * float(row["value"])
    if not math.isfinite(float(row["low"])):
        return signed(value)
    return f"{signed(value)} [{signed(scale * row['low'], value)}, {signed(scale * row['high'], value)}]"
