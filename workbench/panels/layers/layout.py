"""What finds room on a chart: numbers along its axis, labels at the ends of its curves."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from workbench.panels.layers.axis import Chart

STEPS = (1, 2, 5, 10, 20, 50, 100)
"""From one written number of a stage to the next."""
ROOM = 1.2
"""Widths of a character that one takes, with what keeps it from its neighbour."""


def sparse_ticks(drawn: Chart, characters: float) -> list[tuple[float, str]]:
    """The ticks whose numbers fit side by side along an axis as long as so many characters.

    Every band begins with one; then follows every second, fifth, tenth ... stage.
    """
    a_stage = characters / sum(stretch.stages for stretch in drawn.stretches)
    kept: list[tuple[float, str]] = []
    for place, stretch in enumerate(drawn.stretches):
        band = [tick for tick in drawn.ticks if stretch.start <= tick[0] < stretch.start + stretch.stages]
        room = ROOM * max(len(text) for _, text in band)
        step = next((step for step in STEPS if step * a_stage >= room), len(band))
        last = place + 1 == len(drawn.stretches)
        end = math.inf if last else stretch.start + stretch.stages - room / a_stage / 2
        kept += [tick for k, tick in enumerate(band) if k == 0 or (k % step == 0 and tick[0] <= end)]
    return kept


def apart(values: Sequence[float], sizes: Sequence[float], low: float, high: float) -> list[float]:
    """Middles of labels of these sizes near `values`, in their order, free of each other within low..high.

    Where the labels are larger than that together, they overlap all by the same part.
    """
    order = np.argsort(values, kind="stable")
    half = np.asarray(sizes, dtype=np.float64)[order] / 2
    half *= min(1.0, (high - low) / max(2 * half.sum(), 1e-12))
    placed = np.maximum(np.asarray(values, dtype=np.float64)[order], low + half)
    for k in range(1, len(placed)):
        placed[k] = max(placed[k], placed[k - 1] + half[k - 1] + half[k])
    ceiling = high
    for k in range(len(placed) - 1, -1, -1):
        placed[k] = min(placed[k], ceiling - half[k])
        ceiling = placed[k] - half[k]
    out = np.empty(len(placed))
    out[order] = placed
    return [float(v) for v in out]
