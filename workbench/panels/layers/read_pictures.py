"""What a linear reader still sees: pictures that were put together from its readings of single tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.panels.layers.table import REFERENCE

if TYPE_CHECKING:
    from workbench.runs.result import Result

TRUTH = "read_truth"
COUNT = 3
"""Stages that are shown beside the truth: the first, "llm 0" and the last."""

Column = tuple[str, NDArray[np.uint8]]
"""What a column shows, and its pictures (n, H, W, 3)."""


def has_pictures(result: Result) -> bool:
    """Whether the result holds any."""
    return TRUTH in result.arrays


def columns(result: Result, stages: Sequence[str] = (), count: int = COUNT) -> list[Column]:
    """The pictures as they were, then those read at each of the stages; by default `count` over the axis.

    Stages that hold none are left out.
    """
    table = result.tables["stages"].sort_values("index")
    held = {
        str(name): np.asarray(result.arrays[f"read_{int(index):03d}"], dtype=np.uint8)
        for name, index in zip(table["stage"], table["index"], strict=True)
        if f"read_{int(index):03d}" in result.arrays
    }
    chosen = [name for name in stages if name in held] if stages else over_the_axis(list(held), count)
    truth = np.asarray(result.arrays[TRUTH], dtype=np.uint8)
    return [("as it was", truth), *((name, held[name]) for name in chosen)]


def over_the_axis(stages: Sequence[str], count: int = COUNT) -> list[str]:
    """The first vision stage, "llm 0", the last, and others evenly between those: `count` at most."""
    if len(stages) <= count:
        return list(stages)
    entry = stages.index(REFERENCE) if REFERENCE in stages else 0
    inside = np.linspace(entry, len(stages) - 1, count - 1 if entry else count).round().astype(int)
    return [stages[int(k)] for k in sorted({0, *inside.tolist()})]
