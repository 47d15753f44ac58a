"""The shape of the cloud of all tokens of all test images together, from their covariance."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from probes.bootstrap import Score
from probes.covariance import Covariance, Influence, influenced
from workbench.datasets.collection import Split
from workbench.panels.layers.parts.part import Arrays, Grown, Part, Say, Seen, Subject
from workbench.panels.layers.table import UNKNOWN, Chance, Row, curve

SLOPED = ("effective dimension, all tokens", "feature correlation")
"""Smooth functions of the covariance, which have an interval."""
COUNTED = "components for 90 %"
"""A count, which moves by steps and has none."""


class Cloud(Part):
    """Effective dimension, components and feature correlation of all test images' tokens.

    Holds two covariances for each stage: that of the test images, and that of the training images, from which
    is told how much each test image moves the numbers.
    """

    splits = ("train", "test")

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.sums: dict[Split, list[Covariance]] = {
            split: [Covariance(width) for width in self.axis.widths] for split in self.splits
        }
        self.influence: list[Influence] = []
        self.grown = Grown()

    def take(self, split: Split, seen: Seen) -> None:
        """Add the tokens of a batch."""
        for sums, states in zip(self.sums[split], seen.captured.states, strict=True):
            sums.update(states)
        if split != "test":
            return
        for i, (influence, states) in enumerate(zip(self.influence, seen.captured.states, strict=True)):
            self.grown.add(f"moved/{i}", influence.of(states))
            self.grown.add(f"tokens/{i}", np.full(len(states), states.shape[1]))

    def bytes_of(self, split: Split) -> int:
        """How much a test image moves either number, and how many tokens it has."""
        return 8 * (len(SLOPED) + 1) * len(self.axis) if split == "test" else 0

    def end(self, split: Split) -> None:
        """Once the training images are seen, how much others move the numbers can be told."""
        if split == "train":
            self.influence = [
                Influence(
                    sums.mean, [sums.slope_of_participation_ratio(), sums.slope_of_feature_correlation()]
                )
                for sums in self.sums["train"]
            ]

    def held(self) -> Arrays:
        """The sums of every stage, and what each test image adds."""
        sums = {
            f"{split}/{i}/{name}": values
            for split, stages in self.sums.items()
            for i, each in enumerate(stages)
            for name, values in each.held().items()
        }
        return sums | self.grown.held()

    def restore(self, held: Mapping[str, np.ndarray]) -> None:
        """Go on from them."""
        for split, stages in self.sums.items():
            for i, each in enumerate(stages):
                mine = f"{split}/{i}/"
                each.restore({k.removeprefix(mine): v for k, v in held.items() if k.startswith(mine)})
        self.grown.restore({k: v for k, v in held.items() if k.startswith(("moved/", "tokens/"))})

    def curves(self, say: Say, stop: Callable[[], bool]) -> list[Row]:
        """The numbers at every stage, with intervals over images where they have one."""
        found: dict[str, list[Score | None]] = {name: [] for name in (*SLOPED, COUNTED)}
        for i, sums in enumerate(self.sums["test"]):
            say(i / len(self.axis), f"shape of all tokens, {self.axis.stages[i].name}")
            moved, tokens = self.grown.whole(f"moved/{i}"), self.grown.whole(f"tokens/{i}")
            numbers = (sums.participation_ratio(), sums.feature_correlation())
            for name, value, column in zip(SLOPED, numbers, moved.T, strict=True):
                score = influenced(
                    value, column, tokens, resamples=self.config.resamples, seed=self.config.seed
                )
                found[name].append(score)
            nothing = np.full(1, np.nan)
            found[COUNTED].append(
                Score(sums.components_for(), np.nan, np.nan, len(moved), len(moved), nothing)
            )
        by_chance: list[Chance] = [UNKNOWN] * len(self.axis)
        return [
            row for name in found for row in curve(name, self.axis.stages, found[name], "images", by_chance)
        ]
