"""What each patch does alone, as colours over the picture, centred on nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.attribution.recovery import recovery
from workbench.panels.overlay import GREY, Image, magnification

if TYPE_CHECKING:
    from workbench.runs.result import Result

OVERLAY = 0.85
"""Weight of the strongest colour over the grey picture; a patch that does nothing leaves it grey."""
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
        k = magnification(picture)
        large = np.repeat(np.repeat(picture.astype(np.float32), k, axis=0), k, axis=1)
        large = np.repeat((large @ GREY)[..., None], 3, axis=2)
        table = colours().astype(np.float32)
        for (x0, y0, x1, y1), value in zip(np.rint(self.boxes * k).astype(int), self.values, strict=True):
            if not np.isfinite(value):
                continue
            share = float(np.clip(value / self.most, -1, 1))
            colour = table[round((share + 1) * 127.5)]
            part = large[y0:y1, x0:x1]
            part += OVERLAY * abs(share) ** 0.5 * (colour - part)
        return np.clip(large + 0.5, 0, 255).astype(np.uint8)


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


def colours() -> NDArray[np.uint8]:
    """The diverging colours from -1 to 1, uint8 (256, 3): blue, near white, vermilion."""
    import matplotlib

    return (matplotlib.colormaps["RdBu_r"](np.arange(256))[:, :3] * 255).astype(np.uint8)
