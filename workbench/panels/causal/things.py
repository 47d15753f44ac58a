"""The parts of a picture whose pixels are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from workbench.datasets.collection import Sample


@dataclass(frozen=True)
class Thing:
    """A part of a picture: its name and its pixels, bool (H, W)."""

    name: str
    mask: NDArray[np.bool_]


def regions(sample: Sample | None, classes: Sequence[str]) -> list[Thing]:
    """Every object and every background of a picture, named by the class of most of its pixels."""
    if sample is None or sample.regions is None:
        return []
    found = []
    for number in np.unique(sample.regions).tolist():
        mask = sample.regions == number
        name = f"region {number}"
        if sample.classes is not None:
            values, counts = np.unique(sample.classes[mask], return_counts=True)
            k = int(values[counts.argmax()])
            if not 0 <= k < len(classes):
                continue  # nobody knows what is there
            name = classes[k]
        found.append(Thing(name, mask))
    return found
