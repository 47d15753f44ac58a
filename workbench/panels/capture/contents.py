"""A saved capture read back: what one pass showed of one of its images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.capture.hidden import Captured
from workbench.images.read import Picture
from workbench.models.protocol import BANDS, Grid, Stage
from workbench.panels.capture.study import UNKNOWN

if TYPE_CHECKING:
    from workbench.runs.result import Result


@dataclass(frozen=True)
class Seen:
    """One image of a capture: where it came from, as it was given, as the model got it, what was captured."""

    source: str
    picture: Picture
    shown: np.ndarray
    captured: Captured


def seen(saved: Result) -> list[Seen]:
    """The images of a capture, each with its states at every stage that is known to show it.

    Raises:
        ValueError, KeyError: tables and arrays do not belong together, as in a file that is not ours.
    """
    grids = _grids(saved)
    return [
        Seen(
            str(about["image"]),
            Picture(saved.images[f"original_{k}"], (str(about["notes"]),), str(about["sha256"])),
            saved.images[f"shown_{k}"],
            _captured(saved, grids, k),
        )
        for k, about in enumerate(saved.tables["images"].to_dict("records"))
    ]


def _grids(saved: Result) -> list[Grid]:
    found = []
    for k, about in enumerate(saved.tables["grids"].to_dict("records")):
        boxes = saved.arrays[f"boxes_{k:02d}"]
        rows, cols = int(about["rows"]), int(about["cols"])
        if min(rows, cols) < 1 or boxes.shape != (rows * cols, 4):
            raise ValueError(f"the boxes {boxes.shape} are not those of a grid of {rows} by {cols}")
        found.append(Grid(rows, cols, boxes, int(about["image"]), about["part"]))
    return found


def _captured(saved: Result, grids: list[Grid], image: int) -> Captured:
    """The states at the first view of an image that the language model reads, and the tower's of that image.

    Where there is one image, stages whose tokens stand on no known grid are of it, too.
    """
    alone = len(saved.tables["images"]) == 1
    read = next(
        k for k, grid in enumerate(grids) if grid.image == image and f"positions_{k:02d}" in saved.arrays
    )
    stages: list[Stage] = []
    states: list[np.ndarray[Any, Any]] = []
    places: list[Grid | None] = []
    for k, row in enumerate(saved.tables["states"].to_dict("records")):
        number = int(row["grid"])
        if row["band"] == BANDS[-1]:
            shows = number == read
        else:
            shows = alone if number == UNKNOWN else grids[number].image == image
        if not shows:
            continue
        grid = None if number == UNKNOWN else grids[number]
        array = saved.arrays[f"states_{k:03d}"]
        if array.ndim != 2 or (grid is not None and len(array) != grid.rows * grid.cols):
            raise ValueError(f"the states {array.shape} of {row['stage']} do not stand on their grid")
        stages.append(Stage(str(row["stage"]), row["band"], int(row["index"])))
        states.append(array[None])
        places.append(grid)
    return Captured(stages, states, grids[read], places)
