"""A saved capture read back: what one pass showed of one of its images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.capture.hidden import Captured
from workbench.capture.lens import Reading
from workbench.images.read import Picture
from workbench.models.protocol import BANDS, Grid, Stage
from workbench.panels.capture.study import UNKNOWN

if TYPE_CHECKING:
    from workbench.runs.result import Result


@dataclass(frozen=True)
class Query:
    """A row of attention: numbers of the answer's tokens that it stands on and says; UNKNOWN for none."""

    token: int
    says: int


@dataclass(frozen=True)
class Seen:
    """One image of a capture: where it came from, as it was given, as the model got it, what was captured.

    readings: of each captured stage what the lens read, None where it read nothing; vocabulary: the text of
    the tokens that it names. attention: by the stage
    that the layer writes, (heads, queries, tokens): what each query gives to the image's own tokens.
    """

    source: str
    picture: Picture
    shown: np.ndarray
    captured: Captured
    readings: list[Reading | None]
    vocabulary: dict[int, str]
    attention: dict[str, np.ndarray[Any, Any]]
    queries: list[Query]


def seen(saved: Result) -> list[Seen]:
    """The images of a capture, each with its states at every stage that is known to show it.

    Raises:
        ValueError, KeyError: tables and arrays do not belong together, as in a file that is not ours.
    """
    grids = _grids(saved)
    found, vocabulary = [], _vocabulary(saved)
    for k, about in enumerate(saved.tables["images"].to_dict("records")):
        read = next(
            g for g, grid in enumerate(grids) if grid.image == k and f"positions_{g:02d}" in saved.arrays
        )
        rows = _rows(saved, grids, k, read)
        attention, queries = _attention(saved, saved.arrays[f"positions_{read:02d}"])
        found.append(
            Seen(
                str(about["image"]),
                Picture(saved.images[f"original_{k}"], (str(about["notes"]),), str(about["sha256"])),
                saved.images[f"shown_{k}"],
                _captured(saved, grids, read, rows),
                [_reading(saved, row) for row in rows],
                vocabulary,
                attention,
                queries,
            )
        )
    return found


def _grids(saved: Result) -> list[Grid]:
    found = []
    for k, about in enumerate(saved.tables["grids"].to_dict("records")):
        boxes = saved.arrays[f"boxes_{k:02d}"]
        rows, cols = int(about["rows"]), int(about["cols"])
        if min(rows, cols) < 1 or boxes.shape != (rows * cols, 4):
            raise ValueError(f"the boxes {boxes.shape} are not those of a grid of {rows} by {cols}")
        found.append(Grid(rows, cols, boxes, int(about["image"]), about["part"]))
    return found


def _vocabulary(saved: Result) -> dict[int, str]:
    if "vocabulary" not in saved.tables:
        return {}
    table = saved.tables["vocabulary"]
    return {int(number): str(text) for number, text in zip(table["id"], table["text"], strict=True)}


def _rows(saved: Result, grids: list[Grid], image: int, read: int) -> list[int]:
    """The rows of "states" that are of an image: the language model's at the grid `read`, the tower's of it.

    Where there is one image, stages whose tokens stand on no known grid are of it, too.
    """
    alone = len(saved.tables["images"]) == 1
    found = []
    for k, row in enumerate(saved.tables["states"].to_dict("records")):
        number = int(row["grid"])
        if row["band"] == BANDS[-1]:
            shows = number == read
        else:
            shows = alone if number == UNKNOWN else grids[number].image == image
        if shows:
            found.append(k)
    return found


def _captured(saved: Result, grids: list[Grid], read: int, rows: list[int]) -> Captured:
    stages: list[Stage] = []
    states: list[np.ndarray[Any, Any]] = []
    places: list[Grid | None] = []
    records = saved.tables["states"].to_dict("records")
    for k in rows:
        row = records[k]
        number = int(row["grid"])
        grid = None if number == UNKNOWN else grids[number]
        array = saved.arrays[f"states_{k:03d}"]
        if array.ndim != 2 or (grid is not None and len(array) != grid.rows * grid.cols):
            raise ValueError(f"the states {array.shape} of {row['stage']} do not stand on their grid")
        stages.append(Stage(str(row["stage"]), row["band"], int(row["index"])))
        states.append(array[None])
        places.append(grid)
    return Captured(stages, states, grids[read], places)


def _reading(saved: Result, row: int) -> Reading | None:
    """What the lens read at a row of "states"; None of a stage, or in a capture, that kept none."""
    kinds = ("ids", "probabilities", "entropy", "words")
    if f"lens_{kinds[0]}_{row:03d}" not in saved.arrays:
        return None
    found: list[Any] = [saved.arrays[f"lens_{kind}_{row:03d}"] for kind in kinds]
    tokens = len(saved.arrays[f"states_{row:03d}"])
    if found[0].shape != found[1].shape or any(len(part) != tokens for part in found):
        raise ValueError(f"what the lens read does not stand on the {tokens} tokens of row {row}")
    return Reading(*found)


def _attention(
    saved: Result, places: np.ndarray[Any, Any]
) -> tuple[dict[str, np.ndarray[Any, Any]], list[Query]]:
    """What each query gives to the tokens at these places, by stage; nothing where none was kept."""
    if "rows" not in saved.tables:
        return {}, []
    queries = [Query(int(row["token"]), int(row["says"])) for row in saved.tables["rows"].to_dict("records")]
    named = {int(row["index"]): str(row["stage"]) for row in saved.tables["states"].to_dict("records")}
    found = {}
    for index, stage in sorted(named.items()):
        weights = saved.arrays.get(f"attention_{index:03d}")
        if weights is None:
            continue
        if weights.ndim != 3 or weights.shape[1] != len(queries):
            raise ValueError(f"attention {weights.shape} at {stage} is not that of {len(queries)} queries")
        found[stage] = weights[:, :, places]
    return found, queries
