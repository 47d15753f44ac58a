"""What is drawn of a result, on the screen and on paper alike: its pictures, its maps, its curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.panels.drawing.study import image_name
from workbench.panels.overlay import shaded_cells

if TYPE_CHECKING:
    from pandas import DataFrame

    from workbench.runs.result import Result

AFTER, BEFORE = "entropy", "unguided"
NAMES = {AFTER: "after guidance", BEFORE: "before guidance"}
STEP = 0.5
"""The end of the colours is a whole multiple of so many nats."""


@dataclass(frozen=True)
class Shot:
    """One state: its name, a number in words, its pixels uint8 (H, W, 3)."""

    name: str
    note: str
    pixels: np.ndarray


@dataclass(frozen=True)
class Curve:
    """One quantity over the course of the drawing, in per cent of it; ``fine`` is one without smoothing."""

    name: str
    x: np.ndarray
    y: np.ndarray
    fine: bool = False


def numbers(result: Result) -> DataFrame:
    """A row for each token that was drawn; by flow for each state."""
    return result.tables["tokens" if by_tokens(result) else "states"]


def by_tokens(result: Result) -> bool:
    """Whether the image was drawn token by token, and not by flow."""
    return bool(result.manifest["drawing"]["by"] == "tokens")


def shots(result: Result, most: int) -> list[Shot]:
    """At most so many states, spread evenly over the drawing, the first and the last among them."""
    rows = result.tables["states"].to_dict("records")
    picked = sorted({round(k * (len(rows) - 1) / max(most - 1, 1)) for k in range(most)})
    total = rows[-1]["drawn"]
    return [shot(rows[k], result.images[image_name(k)], total) for k in picked]


def shot(row: dict[str, float], pixels: np.ndarray, total: int) -> Shot:
    """A state by its row of the table; ``total`` is the number of all tokens."""
    if row["drawn"] >= 0:
        whole = "finished, " if row["drawn"] == total else ""
        return Shot(
            f"{whole}{int(row['drawn']):,} of {total:,} tokens", f"mean {row['entropy']:.2f} nats", pixels
        )
    norm = "" if math.isnan(row["velocity_norm"]) else f", |v| {row['velocity_norm']:.1f}"
    return Shot(f"step {int(row['step'])}", f"t {row['t']:.2f}{norm}", pixels)


def finished(result: Result) -> np.ndarray:
    """The image that was drawn, uint8 (H, W, 3)."""
    return result.images[image_name(len(result.tables["states"]) - 1)]


def top(results: Sequence[Result]) -> float:
    """The entropy in nats at the high end of the colours of these results' maps; 0 is at the low end."""
    highest = max(float(result.arrays[name].max()) for result in results for name in NAMES)
    return max(STEP, math.ceil(highest / STEP) * STEP)


def entropy_map(result: Result, name: str, high: float) -> np.ndarray:
    """Entropy of each token in cividis, 0 to ``high`` nats, over the grey image: uint8 (H, W, 3)."""
    picture, values = finished(result), result.arrays[name]
    return shaded_cells(picture, values, high)


def curves(result: Result) -> list[Curve]:
    """Entropy token by token and as the mean of each row of the grid; by flow, the velocity's norm."""
    if not by_tokens(result):
        states = result.tables["states"]
        norms = states["velocity_norm"].to_numpy()[1:]
        return [Curve("velocity norm", percent(len(norms)), norms)]
    found = []
    for name, words in NAMES.items():
        values = result.arrays[name]
        rows, cols = values.shape
        if name == AFTER:
            found.append(Curve(f"{words}, each token", percent(rows * cols), values.ravel(), fine=True))
        middle = (np.arange(rows) + 0.5) * 100 / rows
        found.append(Curve(f"{words}, mean of a row", middle, values.mean(axis=1)))
    return found


def percent(count: int) -> np.ndarray:
    """How much is drawn with each of so many steps or tokens, per cent: float64 (count,)."""
    return np.arange(1, count + 1) * 100 / count


def axes(result: Result) -> tuple[str, str]:
    """What stands at the curves' axes, along and up."""
    return (
        ("tokens drawn (%)", "entropy (nats)") if by_tokens(result) else ("steps taken (%)", "velocity norm")
    )
