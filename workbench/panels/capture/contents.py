"""A saved capture read back: what one pass showed of each of its views, and results made of one.

A view is one grid that the language model reads: an image, the tiles of one put together, its thumbnail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.capture.hidden import Captured
from workbench.capture.lens import Reading
from workbench.errors import Refusal
from workbench.images.read import Picture
from workbench.models.protocol import BANDS, Grid, Stage
from workbench.panels.capture.study import UNKNOWN

if TYPE_CHECKING:
    from workbench.runs.result import Result

MOST_TOKENS = 6400
"""Of a grid: what a picture of 1,024 pixels has in cells of 13. Measures hold tokens × tokens numbers."""
WIDEST = 16_384
"""Numbers in a token."""


@dataclass(frozen=True)
class Query:
    """A row of attention: numbers of the answer's tokens that it stands on and says; UNKNOWN for none."""

    token: int
    says: int


@dataclass(frozen=True)
class Seen:
    """One view of a capture: its image as it was given and as the model got it, and what was captured of it.

    view: which it is, in words, where the capture has several; the stages of the tower go with an image's
    first view. readings: of each captured stage what the lens read, None where it read nothing; vocabulary:
    the text of the tokens that it names. attention: by the stage that the layer writes, (heads, queries,
    tokens): what each query gives to the view's own tokens.
    """

    source: str
    view: str
    picture: Picture
    shown: np.ndarray
    captured: Captured
    readings: list[Reading | None]
    vocabulary: dict[int, str]
    attention: dict[str, np.ndarray[Any, Any]]
    queries: list[Query]


def seen(saved: Result) -> list[Seen]:
    """The views of a capture in the order of the prompt, each with its states at the stages that show it.

    A view of which no stage was kept is left out.

    Raises:
        Refusal: the capture is larger than what can be measured.
        ValueError, KeyError: tables and arrays do not belong together, as in a file that is not ours.
    """
    grids, images = _grids(saved), saved.tables["images"].to_dict("records")
    found, vocabulary = [], _vocabulary(saved)
    views = [g for g in range(len(grids)) if f"positions_{g:02d}" in saved.arrays]
    for read in views:
        k = grids[read].image
        about, same = images[k], [g for g in views if grids[g].image == k]
        rows = _rows(saved, grids, read, with_tower=read == same[0])
        if not rows:
            continue
        captured = _within_bounds(_captured(saved, grids, read, rows))
        attention, queries = _attention(saved, saved.arrays[f"positions_{read:02d}"])
        words = [Path(str(about["image"])).name] if len(images) > 1 else []
        words += [grids[read].part] if len(same) > 1 else []
        found.append(
            Seen(
                str(about["image"]),
                ", ".join(words),
                Picture(saved.images[f"original_{k}"], _notes(about), str(about["sha256"])),
                saved.images[f"shown_{k}"],
                captured,
                [_reading(saved, row) for row in rows],
                vocabulary,
                attention,
                queries,
            )
        )
    return found


def _notes(about: Mapping[str, Any]) -> tuple[str, ...]:
    return (str(about["notes"]),) if about["notes"] else ()


def conditions(saved: Result) -> dict[str, Any]:
    """The settings of a capture that the studies of an image share with it."""
    chosen = ("corruption", "intensity", "seed")
    return {name: saved.config[name] for name in chosen} | {"question": saved.config["prompt"]}


def manifested(made: Result, saved: Result, one: Seen) -> Result:
    """A result that was made of one view of a capture, with the capture's manifest and which view it is."""
    made.manifest["capture"] = saved.manifest
    if one.view:
        made.manifest["view"] = one.view
    return made


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


def _rows(saved: Result, grids: list[Grid], read: int, *, with_tower: bool) -> list[int]:
    """The rows of "states" that are of a view: the language model's at grid `read`, the tower's of its image.

    Where there is one image, stages whose tokens stand on no known grid are of it, too.
    """
    alone, image = len(saved.tables["images"]) == 1, grids[read].image
    found = []
    for k, row in enumerate(saved.tables["states"].to_dict("records")):
        number = int(row["grid"])
        if row["band"] == BANDS[-1]:
            shows = number == read
        else:
            shows = with_tower and (alone if number == UNKNOWN else grids[number].image == image)
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


def _within_bounds(captured: Captured) -> Captured:
    """What was captured, as it is; Refusal where a file would have more computed than any model makes."""
    tokens = captured.grid.rows * captured.grid.cols
    width = max(states.shape[2] for states in captured.states)
    if tokens > MOST_TOKENS or width > WIDEST:
        raise Refusal(
            f"This capture has {tokens:,} visual tokens of up to {width:,} numbers; up to {MOST_TOKENS:,} of "
            f"{WIDEST:,} are measured. Capture a smaller image."
        )
    return captured


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
