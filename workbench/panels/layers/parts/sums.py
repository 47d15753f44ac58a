"""Sums of readers put down and taken up again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np

from probes.ridge import Moments
from workbench.panels.layers.parts.part import Arrays

M = TypeVar("M", bound=Moments)
PREFIX = "sums/"


def held_sums(sums: Mapping[int, Moments]) -> Arrays:
    """Sums of some stages as arrays by name."""
    return {f"{PREFIX}{i}/{name}": values for i, each in sums.items() for name, values in each.held().items()}


def restored_sums(
    held: Mapping[str, np.ndarray], fresh: Callable[[int], M]
) -> tuple[dict[int, M], dict[str, np.ndarray]]:
    """The sums that were held, each begun by `fresh` for its stage, and the arrays that are none."""
    found: dict[int, dict[str, np.ndarray]] = {}
    rest: dict[str, np.ndarray] = {}
    for key, values in held.items():
        if key.startswith(PREFIX):
            stage, _, name = key.removeprefix(PREFIX).partition("/")
            found.setdefault(int(stage), {})[name] = values
        else:
            rest[key] = values
    sums = {i: fresh(i) for i in found}
    for i, arrays in found.items():
        sums[i].restore(arrays)
    return sums, rest
