"""Linear CKA of every stage with "llm 0" and of every two stages, over the tokens of the test images."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from probes.alignment import LinearCKA
from probes.bootstrap import Score
from workbench.datasets.collection import Split
from workbench.panels.layers.parts.part import Arrays, Part, Say, Seen, Subject
from workbench.panels.layers.table import REFERENCE, UNKNOWN, Row, curve

LEAST = 4
"""Tokens that an unbiased estimate needs."""
MOST_TOKENS = 256
"""Tokens of a batch that are compared, evenly chosen: Gram matrices are tokens × tokens."""


class Likeness(Part):
    """CKA between stages; patches of finer towers are averaged into the cells of the language model's."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.cka: LinearCKA | None = None
        self.stages: list[int] = []
        self.images = 0

    def take(self, split: Split, seen: Seen) -> None:
        """Add the test images' tokens."""
        if split != "test":
            return
        cells = {i: np.concatenate(tokens) for i, tokens in seen.cells.items()}
        if self.cka is None:
            self.stages = list(cells)
            self.cka = LinearCKA(len(cells), len(cells))
        if list(cells) != self.stages:
            return
        chosen = evenly(len(next(iter(cells.values()))), MOST_TOKENS)
        if len(chosen) >= LEAST:
            layers = [cells[i][chosen] for i in self.stages]
            self.cka.update(layers, layers)
            self.images += len(seen.batch)

    def held(self) -> Arrays:
        """Sums of HSIC."""
        if self.cka is None:
            return {}
        return {**self.cka.held(), "stages": np.array(self.stages), "images": np.array([self.images])}

    def restore(self, held: Mapping[str, np.ndarray]) -> None:
        """Go on from them."""
        if held:
            self.stages, self.images = held["stages"].tolist(), int(held["images"][0])
            self.cka = LinearCKA(len(self.stages), len(self.stages))
            self.cka.restore(held)

    def curves(self, say: Say, stop: Callable[[], bool]) -> list[Row]:
        """CKA with what enters the language model; no interval: it is of all images together."""
        names = [self.axis.stages[i].name for i in self.stages]
        if self.cka is None or REFERENCE not in names:
            return []
        column = self.cka.value[:, names.index(REFERENCE)]
        nothing = np.full(1, np.nan)
        scores: list[Score | None] = [None] * len(self.axis)
        for i, value in zip(self.stages, column, strict=True):
            scores[i] = Score(float(value), np.nan, np.nan, self.images, 1, nothing)
        return curve("CKA with llm 0", self.axis.stages, scores, "images", [UNKNOWN] * len(self.axis))

    def tables(self) -> dict[str, list[Row]]:
        """CKA of every two stages."""
        if self.cka is None:
            return {}
        names = [self.axis.stages[i].name for i in self.stages]
        return {
            "cka": [
                {"stage": a, "other": b, "cka": float(value)}
                for a, line in zip(names, self.cka.value, strict=True)
                for b, value in zip(names, line, strict=True)
            ]
        }


def evenly(count: int, most: int) -> np.ndarray:
    """Up to `most` of `count` places, evenly over them."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).round().astype(int)
