"""The rows of the study's tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from probes.bootstrap import Score, drop
from workbench.capture.hidden import Captured
from workbench.errors import Cancelled
from workbench.models.protocol import Stage

if TYPE_CHECKING:
    from workbench.images.read import Picture

REFERENCE = "llm 0"
"""The stage that every drop is measured from: what enters the language model."""

Row = dict[str, Any]
Chance = tuple[float, float, float]
"""Chance level with its interval: value, low, high."""

UNKNOWN: Chance = (float("nan"),) * 3


class Choice(NamedTuple):
    """What validation chose at one stage: in words, and whether it is the last of what was tried."""

    words: str = ""
    edge: bool = False


def choice(name: str, value: float, tried: Sequence[float], ends: Sequence[float] = ()) -> Choice:
    """What validation chose of all that was `tried`, which is in order.

    ends: those of it beyond which there is more to try; both, if nothing is given.
    """
    return Choice(f"{name} = {value:g}", value in (ends or (tried[0], tried[-1])))


@dataclass
class Measured:
    """What one mode of the study found: rows of tables by name, arrays, images; and what it saw, by name."""

    tables: dict[str, list[Row]]
    saw: Mapping[str, str | Picture]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    images: dict[str, np.ndarray] = field(default_factory=dict)


def curve(
    measure: str,
    stages: Sequence[Stage],
    scores: Sequence[Score | None],
    of: str,
    chance: Sequence[Chance | Score | None],
    majority: float | Sequence[float] = float("nan"),
    *,
    chosen: Sequence[Choice] | None = None,
) -> list[Row]:
    """One row for each stage at which the measure was taken (`scores` holds None elsewhere).

    Args:
        measure: its name.
        stages: all stages.
        scores: for each stage.
        of: what n counts: "images" or "patches".
        chance: for each stage its level, or the score of the same reader trained on shuffled labels: how far
            the reader exceeds that one in pairs is its selectivity (Hewitt and Liang, EMNLP 2019).
        majority: what saying the commonest answer always gives, at all stages or at each.
        chosen: for each stage what validation chose: a penalty, a number of neighbours.
    """
    before = next(
        (score for stage, score in zip(stages, scores, strict=True) if stage.name == REFERENCE), None
    )
    rows: list[Row] = []
    always = np.broadcast_to(majority, len(stages))
    said = chosen or [Choice()] * len(stages)
    for stage, score, by_chance, commonest, taken in zip(stages, scores, chance, always, said, strict=True):
        if score is None:
            continue
        delta = UNKNOWN if before is None else drop(score, before)
        level, selectivity = _against(score, by_chance)
        rows.append(
            {
                "measure": measure,
                "stage": stage.name,
                "band": stage.band,
                "index": stage.index,
                "value": score.value,
                "low": score.low,
                "high": score.high,
                "chance": level[0],
                "chance_low": level[1],
                "chance_high": level[2],
                "selectivity": selectivity[0],
                "selectivity_low": selectivity[1],
                "selectivity_high": selectivity[2],
                "majority": float(commonest),
                "delta": delta[0],
                "delta_low": delta[1],
                "delta_high": delta[2],
                "n": score.n,
                "of": of,
                "chosen": taken.words,
                "edge": taken.edge,
            }
        )
    return rows


def _against(score: Score, chance: Chance | Score | None) -> tuple[Chance, Chance]:
    """The level of chance and, where a control reader tells it, the selectivity."""
    if isinstance(chance, Score):
        return (chance.value, chance.low, chance.high), drop(score, chance)
    return chance or UNKNOWN, UNKNOWN


def stage_rows(captured: Captured) -> list[Row]:
    """One row for each stage: where it stands and how large its states are."""
    return [
        {
            "stage": stage.name,
            "band": stage.band,
            "index": stage.index,
            "tokens": states.shape[1],
            "width": states.shape[2],
        }
        for stage, states in zip(captured.stages, captured.states, strict=True)
    ]


def labelled(captured: Captured, label: Callable[[np.ndarray], np.ndarray | None]) -> list[np.ndarray | None]:
    """For each stage the labels of its own patches, made from their boxes; None where it is on no known grid.

    A tower may cut finer patches than the language model reads, so a label is one of the stage's grid.
    """
    found: dict[bytes, np.ndarray | None] = {}
    out: list[np.ndarray | None] = []
    for grid in captured.grids:
        if grid is None:
            out.append(None)
            continue
        key = grid.boxes.tobytes()
        if key not in found:
            found[key] = label(grid.boxes)
        out.append(found[key])
    return out


def go_on(stop: Callable[[], bool]) -> None:
    """Raise Cancelled if the work was asked to stop."""
    if stop():
        raise Cancelled("Stopped.")
