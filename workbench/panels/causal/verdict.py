"""What the numbers say, in sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.panels.causal.chart import KNOCKOUT, half, held
from workbench.panels.causal.config import PATH_NAMES
from workbench.panels.causal.effects import EVERY_LAYER
from workbench.panels.layers.axis import signed

if TYPE_CHECKING:
    from workbench.runs.result import Result


NOTHING = 0.005
"""A relative change that is written as none."""


def verdict(result: Result) -> list[str]:
    """The damage, until where it can be undone, and which layers the image reaches the answer through."""
    said = [_damage(result)]
    said += [_half(result, direction) for direction in ("restore", "damage") if direction in held(result)]
    if KNOCKOUT in held(result):
        said.append(_knockout(result))
    elif KNOCKOUT in result.config["parts"]:
        said.append("The attention of this model is not to be changed, so knockout is left out.")
    return [sentence for sentence in said if sentence]


def _damage(result: Result) -> str:
    items = result.tables["items"]
    lost = items["degraded log p"].to_numpy(float) - items["clean log p"].to_numpy(float)
    does = "The degraded image in the drawing's place" if result.config["drawing"] else "The damage"
    if result.config["image"]:
        row = items.iloc[0]
        answer = str(row["answer"])
        if "restore" not in held(result) and not np.any(lost):
            return f"The answer is “{answer}” (log p {signed(float(row['clean log p']))} nats)."
        now = row["degraded answer"]
        to = f"The answer becomes “{now}”." if row["changed"] else "The answer stays the same."
        return f"{does} changes the log-probability of “{answer}” by {signed(float(lost[0]))} nats. {to}"
    if not np.any(lost):
        return ""
    changed = int(items["changed"].sum())
    return (
        f"{does} changes the log-probability of the first answer by {signed(float(lost.mean()))} nats on "
        f"average, and {changed:,} of {len(items):,} answers."
    )


def _half(result: Result, direction: str) -> str:
    better, worse = ("drawing", "other") if result.config["drawing"] else ("clean", "degraded")
    source, into = (better, worse) if direction == "restore" else (worse, better)
    found = half(result, direction)
    if found is None:
        if result.tables["recovery"]["value"].notna().any():
            return ""
        return "It is not known to cost that answer anything, so nothing can be undone."
    value, low, high = found
    between = f" ({low:.1f} to {high:.1f})" if math.isfinite(low) else ""
    does = "undoes" if direction == "restore" else "does"
    return (
        f"Putting all visual tokens of the {source} run into the {into} one {does} more than half of it up "
        f"to llm {value:.1f}{between}."
    )


def _knockout(result: Result) -> str:
    table = result.tables["blocked"]
    table = table[(table["measure"] == "relative") & (table["layer"] != EVERY_LAYER)]
    parts = []
    for path, rows in table.groupby("path", sort=False):
        row = rows.loc[rows["value"].abs().idxmax()]
        if abs(float(row["value"])) < NOTHING:
            parts.append(f"{PATH_NAMES[str(path)]} nothing in any window")
            continue
        held_ = f" ({_percent(row['low'])} to {_percent(row['high'])})" if math.isfinite(row["low"]) else ""
        first, last = int(row["first"]), int(row["last"])
        layers = f"layers {first} to {last}" if last > first else f"layer {first}"
        parts.append(f"{PATH_NAMES[str(path)]} {_percent(row['value'])}{held_} at {layers}")
    return (
        f"Where blocked attention changes the answer's probability most: {'; '.join(parts)}." if parts else ""
    )


def _percent(value: float) -> str:
    return f"{signed(100 * float(value), 100)}\N{NO-BREAK SPACE}%"
