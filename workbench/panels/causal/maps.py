"""What each patch does alone, as colours over the picture, centred on nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.attribution.recovery import recovery
from workbench.panels.overlay import Image, weighed

if TYPE_CHECKING:
    from workbench.runs.result import Result

LEAST = 0.05
"""Smallest share at which the colours end: below it they would show rounding."""


@dataclass(frozen=True)
class Map:
    """One direction at one stage.

    values: float64 (patches,), the share of the damage that exchanging the patch alone undoes or does; below
    0 it does the opposite. boxes (patches, 4) in pixels of the picture. most: the share at the ends of the
    colours, one for all maps of a result.
    """

    direction: str
    stage: str
    values: NDArray[np.float64]
    boxes: NDArray[np.float32]
    most: float

    def drawn(self, picture: Image) -> Image:
        """The map over the grey picture, uint8, enlarged by a whole number."""
        return weighed(picture, self.boxes, self.values / self.most)


def run_names(result: Result) -> dict[str, str]:
    """The pictures of the two runs, with what they are called."""
    return {"clean": "its drawing" if result.config["drawing"] else "clean", "degraded": "degraded"}


def maps_of(result: Result) -> list[Map]:
    """The maps of a result of one degraded picture, by direction and stage; none where it has none."""
    table = result.tables.get("maps")
    if table is None or not len(table):
        return []
    items = result.tables["items"].iloc[0]
    clean, degraded = float(items["clean log p"]), float(items["degraded log p"])
    found = []
    for number, row in enumerate(table.to_dict("records")):
        base, other = (degraded, clean) if row["direction"] == "restore" else (clean, degraded)
        values = recovery(base, other, result.arrays[f"map_{number:03d}"])
        boxes = result.arrays[f"boxes_{number:03d}"].astype(np.float32)
        found.append((str(row["direction"]), str(row["stage"]), values, boxes))
    known = np.concatenate([values[np.isfinite(values)] for _, _, values, _ in found])
    most = max(LEAST, float(np.abs(known).max())) if len(known) else LEAST
    return [Map(*each, most) for each in found]
