"""What every question came to in every cell: a cell is one condition of the image by one pathway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench.panels.robustness.config import Pathway, RobustnessConfig, level_of
from workbench.panels.robustness.quality import MEASURES
from workbench.panels.specimen import CLEAN

COLUMNS = (
    "right",
    "confidence",
    "restore",
    "drew",
    *(f"{name} {when}" for name in MEASURES for when in ("before", "after")),
)
"""Numbers of a question in a cell, NaN where there is none: right (0 or 1), confidence (0..1), probability
of the decision to restore, whether an image was drawn, measures of the degraded and of the drawn image."""


@dataclass(frozen=True)
class Condition:
    """What is done to an image; CLEAN at 0 for nothing."""

    corruption: str
    severity: float

    @property
    def level(self) -> str:
        """The severity in a word."""
        return "clean" if self.corruption == CLEAN else level_of(self.severity)


def conditions(config: RobustnessConfig) -> list[Condition]:
    """Clean first, then every corruption at every severity."""
    return [Condition(CLEAN, 0.0)] + [
        Condition(name, severity) for name in config.corruptions for severity in config.severities
    ]


@dataclass
class Items:
    """Columns of numbers (cells, questions), what was said, and the questions themselves.

    cells: in the order of conditions, and within one of pathways. questions: a row each, with the number of
    its image. seconds: (cells,) of the model, all questions together. said: a list for each cell.
    """

    conditions: list[Condition]
    pathways: tuple[Pathway, ...]
    questions: list[dict[str, Any]] = field(default_factory=list)
    numbers: dict[str, np.ndarray] = field(default_factory=dict)
    said: list[list[str]] = field(default_factory=list)
    seconds: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        cells = len(self.conditions) * len(self.pathways)
        if not self.numbers:
            self.numbers = {name: np.full((cells, 0), np.nan, np.float32) for name in COLUMNS}
            self.said, self.seconds = [[] for _ in range(cells)], np.zeros(cells)

    @property
    def images(self) -> np.ndarray:
        """The number of each question's image, (questions,)."""
        return np.array([row["image"] for row in self.questions], dtype=np.int64)

    def cell(self, condition: int, pathway: int) -> int:
        """The number of a cell."""
        return condition * len(self.pathways) + pathway

    def more(self, questions: Sequence[Mapping[str, Any]]) -> int:
        """Make room for further questions; the number of the first of them."""
        first = len(self.questions)
        self.questions += [dict(row) for row in questions]
        empty = np.full((len(self.said), len(questions)), np.nan, np.float32)
        self.numbers = {name: np.concatenate([old, empty], 1) for name, old in self.numbers.items()}
        for said in self.said:
            said += [""] * len(questions)
        return first

    def held(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a kill must not cost, of JSON's types and as arrays."""
        return {"questions": self.questions, "said": self.said}, self.numbers | {"seconds": self.seconds}

    def restore(self, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take up what was held."""
        self.questions, self.said = list(about["questions"]), [list(said) for said in about["said"]]
        self.seconds = np.array(arrays["seconds"])
        self.numbers = {name: np.array(arrays[name]) for name in COLUMNS}
