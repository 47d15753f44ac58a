"""A part of the study over a collection: what it gathers, split by split, and the curves it makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from workbench.capture.hidden import Captured
from workbench.datasets.batches import Batch
from workbench.datasets.collection import SPLITS, Split
from workbench.models.protocol import Model, Stage
from workbench.panels.layers.table import Row, labelled
from workbench.panels.layers.tokens_in_cells import tokens_in_cells

if TYPE_CHECKING:
    from workbench.datasets.collection import Collection
    from workbench.panels.layers.config import LayersConfig

Arrays = dict[str, np.ndarray]
Say = Callable[[float, str], None]
"""Hears a share 0..1 of a part's fits that are done, and what is being done."""


@dataclass(frozen=True)
class Axis:
    """The stages that a pass shows, with the number of tokens and the width of each in the first batch."""

    stages: list[Stage]
    tokens: list[int]
    widths: list[int]

    def __len__(self) -> int:
        return len(self.stages)

    @classmethod
    def of(cls, captured: Captured) -> Axis:
        """The axis of a pass."""
        shapes = [states.shape for states in captured.states]
        return cls(captured.stages, [shape[1] for shape in shapes], [shape[2] for shape in shapes])

    def rows(self) -> list[Row]:
        """The table "stages"."""
        return [
            {"stage": s.name, "band": s.band, "index": s.index, "tokens": tokens, "width": width}
            for s, tokens, width in zip(self.stages, self.tokens, self.widths, strict=True)
        ]

    @classmethod
    def from_rows(cls, rows: list[Row]) -> Axis:
        """The axis of a table "stages"."""
        return cls(
            [Stage(row["stage"], row["band"], row["index"]) for row in rows],
            [row["tokens"] for row in rows],
            [row["width"] for row in rows],
        )


@dataclass
class Seen:
    """A batch and what the model showed of it; patches are labelled once for all parts."""

    batch: Batch
    captured: Captured
    purity: float

    @cached_property
    def cells(self) -> dict[int, np.ndarray]:
        """For each stage that fills them, states (N, cells, width) in the cells of the prompt's grid."""
        return tokens_in_cells(self.captured)

    @cached_property
    def classes(self) -> list[np.ndarray | None]:
        """For each stage the classes of its patches (N, tokens), None without masks or a known grid."""
        return labelled(self.captured, lambda boxes: self.batch.patch_classes(boxes, self.purity))

    @cached_property
    def regions(self) -> list[np.ndarray | None]:
        """For each stage the regions of its patches (N, tokens), None without masks or a known grid."""
        return labelled(self.captured, lambda boxes: self.batch.patch_regions(boxes, self.purity))


@dataclass(frozen=True)
class Subject:
    """What a part measures: the settings, the collection, the stages, and the model that showed them."""

    config: LayersConfig
    collection: Collection
    axis: Axis
    model: Model


class Part:
    """One kind of measure. What it holds can be put down between batches and taken up again."""

    splits: ClassVar[tuple[Split, ...]] = SPLITS
    """What it needs, in order: others are not read for it."""
    instead: ClassVar[str] = "leave that out"
    """What to do where memory does not hold what it keeps."""

    def __init__(self, subject: Subject) -> None:
        self.config, self.collection, self.axis = subject.config, subject.collection, subject.axis
        self.model = subject.model
        self.notes: list[str] = []
        """What is to be said about its numbers, or why it has none."""

    def take(self, split: Split, seen: Seen) -> None:
        """Gather a batch of one of its splits; they come in order."""
        raise NotImplementedError

    def bytes_of(self, split: Split) -> int:
        """Bytes that each image of a split leaves until the end, at most, for all stages together."""
        raise NotImplementedError

    def end(self, split: Split) -> None:
        """Do what is to be done between this split and the next; called once more where work is resumed."""

    def held(self) -> Arrays:
        """Everything gathered so far, by name."""
        raise NotImplementedError

    def restore(self, held: Mapping[str, np.ndarray]) -> None:
        """Go on from what an earlier one held."""
        raise NotImplementedError

    def curves(self, say: Say, stop: Callable[[], bool]) -> list[Row]:
        """Rows of the table "curves". Raises Cancelled once `stop` says so."""
        raise NotImplementedError

    def tables(self) -> dict[str, list[Row]]:
        """Further tables, after `curves`."""
        return {}

    def arrays(self) -> Arrays:
        """Arrays of the result, after `curves`."""
        return {}


class Grown:
    """Arrays that grow along their first axis, by key."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = {}

    def add(self, key: str, values: np.ndarray) -> None:
        """More rows under a key."""
        self._parts.setdefault(key, []).append(np.asarray(values))

    def __contains__(self, key: str) -> bool:
        return key in self._parts

    def whole(self, key: str) -> np.ndarray:
        """All rows under a key."""
        parts = self._parts[key]
        if len(parts) > 1:
            self._parts[key] = parts = [np.concatenate(parts)]
        return parts[0]

    def held(self) -> Arrays:
        """All rows of all keys."""
        return {key: self.whole(key) for key in self._parts}

    def restore(self, held: Mapping[str, np.ndarray]) -> None:
        """Go on from what an earlier one held."""
        self._parts = {key: [values] for key, values in held.items()}


def rows(states: np.ndarray) -> np.ndarray:
    """(N, tokens, width) → (N · tokens, width)."""
    return states.reshape(-1, states.shape[2])
