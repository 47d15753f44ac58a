"""Global function: what a linear reader, or the nearest neighbours, find in the mean of an image's tokens."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from probes.bootstrap import Score
from probes.linear import LogisticProbe, logistic
from probes.neighbours import NeighbourProbe, nearest
from workbench.datasets.collection import SPLITS, Collection, Split
from workbench.errors import Refusal
from workbench.panels.layers.config import LayersConfig
from workbench.panels.layers.measures import accuracy_of, neighbours_of
from workbench.panels.layers.parts.part import Arrays, Axis, Grown, Part, Say, Seen
from workbench.panels.layers.table import UNKNOWN, Chance, Row, curve


class Pooled(Part):
    """Mean-pooled states of every image at every stage, and the labels that are asked for."""

    linear, neighbours = True, False

    def __init__(self, config: LayersConfig, collection: Collection, axis: Axis) -> None:
        super().__init__(config, collection, axis)
        self.targets = targets_of(self.config.targets, self.collection)
        self.grown = Grown()

    def take(self, split: Split, seen: Seen) -> None:
        """Keep the mean of the tokens."""
        for i, states in enumerate(seen.captured.states):
            self.grown.add(f"{split} {i}", states.mean(axis=1, dtype=np.float32))
        for target in self.targets:
            self.grown.add(f"{split} {target}", seen.batch.labels(target))

    def held(self) -> Arrays:
        """The pooled states and the labels."""
        return self.grown.held()

    def restore(self, held: Mapping[str, np.ndarray]) -> None:
        """Go on from them."""
        self.grown.restore(held)

    def curves(self, say: Say) -> list[Row]:
        """Accuracy by stage and target, of the readers that are asked for."""
        table: list[Row] = []
        jobs = len(self.targets) * len(self.axis)
        for t, target in enumerate(self.targets):
            read: list[LogisticProbe] = []
            near: list[NeighbourProbe] = []
            for i, stage in enumerate(self.axis.stages):
                say((t * len(self.axis) + i) / jobs, f"fitting linear readers of {target}, {stage.name}")
                splits = [self._split(split, i, target) for split in SPLITS]
                if "linear reader" in self.config.measures:
                    read.append(logistic(*splits, resamples=self.config.resamples, seed=self.config.seed))
                if "neighbours" in self.config.measures:
                    near.append(nearest(*splits, resamples=self.config.resamples, seed=self.config.seed))
            if read:
                chance = [(p.control.value, p.control.low, p.control.high) for p in read]
                scores: list[Score | None] = [p.accuracy for p in read]
                table += curve(
                    accuracy_of(target), self.axis.stages, scores, "images", chance, read[0].majority
                )
            if near:
                guess = self._majority(target)
                unknown: list[Chance] = [UNKNOWN] * len(near)
                scores = [p.accuracy for p in near]
                table += curve(neighbours_of(target), self.axis.stages, scores, "images", unknown, guess)
        return table

    def _split(self, split: Split, stage: int, target: str) -> tuple[np.ndarray, np.ndarray]:
        """Features and labels of the images that have one. Raises Refusal where they are too few."""
        labels = self.grown.whole(f"{split} {target}")
        known = labels >= 0
        if len(np.unique(labels[known])) < (2 if split == "train" else 1):
            raise Refusal(
                f"The {int(known.sum()):,} images of the {split} split that could be read show "
                f"{'no' if not known.any() else 'one'} value of “{target}” only: a reader needs two or more. "
                "Ask for more images, or for another target."
            )
        return self.grown.whole(f"{split} {stage}")[known], labels[known]

    def _majority(self, target: str) -> float:
        """How often the commonest label of the fitting split is right on the test split."""
        train, test = (self.grown.whole(f"{split} {target}") for split in ("train", "test"))
        return float((test[test >= 0] == np.bincount(train[train >= 0]).argmax()).mean())


def targets_of(asked: tuple[str, ...], collection: Collection) -> tuple[str, ...]:
    """The targets to read, the collection's own if none is asked for. Raises Refusal for unknown ones."""
    known, title = tuple(collection.targets), collection.title
    for target in asked:
        if target not in known:
            has = f"it has {', '.join(known)}" if known else "its images have no labels"
            raise Refusal(f"{title} has no label “{target}”: {has}.")
    return asked or collection.defaults
