"""Global function: what a linear reader, or the nearest neighbours, find in the mean of an image's tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from probes.bootstrap import Score
from probes.neighbours import nearest
from workbench.datasets.collection import SPLITS, Collection, Split
from workbench.errors import Cancelled, Refusal
from workbench.panels.layers.config import LayersConfig
from workbench.panels.layers.measures import accuracy_of, neighbours_of
from workbench.panels.layers.parts.part import Arrays, Axis, Grown, Part, Say, Seen
from workbench.panels.layers.table import UNKNOWN, Chance, Row, curve


class Pooled(Part):
    """Mean-pooled states of every image at every stage, and the labels that are asked for."""

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

    def curves(self, say: Say, stop: Callable[[], bool]) -> list[Row]:
        """Accuracy by stage and target, of the readers that are asked for."""
        table: list[Row] = []
        for target in self.targets:
            known = {split: self._known(split, target) for split in SPLITS}
            if "linear reader" in self.config.measures:
                table += self._linear(target, known, say, stop)
            if "neighbours" in self.config.measures:
                table += self._neighbours(target, known, say)
        return table

    def _linear(
        self, target: str, known: Mapping[Split, np.ndarray], say: Say, stop: Callable[[], bool]
    ) -> list[Row]:
        from probes.linear import logistic_stages
        from probes.workers import Stopped

        done_before = self.targets.index(target)

        def told(done: int, of: int) -> None:
            share = (done_before + done / of) / len(self.targets)
            say(share, f"fitting linear readers of {target}, {done} of {of} stages")

        try:
            read = logistic_stages(
                [self._features(i, known) for i in range(len(self.axis))],
                {target: self._labels(target, known)},
                resamples=self.config.resamples,
                seed=self.config.seed,
                progress=told,
                stop=stop,
            )[target]
        except Stopped:
            raise Cancelled("Stopped.") from None
        chance = [(p.control.value, p.control.low, p.control.high) for p in read]
        scores: list[Score | None] = [p.accuracy for p in read]
        return curve(accuracy_of(target), self.axis.stages, scores, "images", chance, read[0].majority)

    def _neighbours(self, target: str, known: Mapping[Split, np.ndarray], say: Say) -> list[Row]:
        labels, scores = self._labels(target, known), []
        for i, stage in enumerate(self.axis.stages):
            say((self.targets.index(target) + 1) / len(self.targets), f"nearest neighbours, {stage.name}")
            train, validation, test = zip(self._features(i, known), labels, strict=True)
            how = nearest(train, validation, test, resamples=self.config.resamples, seed=self.config.seed)
            scores.append(how.accuracy)
        guess = float((labels[2] == np.bincount(labels[0]).argmax()).mean())
        unknown: list[Chance] = [UNKNOWN] * len(scores)
        return curve(neighbours_of(target), self.axis.stages, scores, "images", unknown, guess)

    def _known(self, split: Split, target: str) -> np.ndarray:
        """Which images of a split have a label. Raises Refusal where they are too few."""
        labels = self.grown.whole(f"{split} {target}")
        known = labels >= 0
        if len(np.unique(labels[known])) < (2 if split == "train" else 1):
            raise Refusal(
                f"The {int(known.sum()):,} images of the {split} split that could be read show "
                f"{'no' if not known.any() else 'one'} value of “{target}” only: a reader needs two or more. "
                "Ask for more images, or for another target."
            )
        return known

    def _features(
        self, stage: int, known: Mapping[Split, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        train, validation, test = (self.grown.whole(f"{s} {stage}")[known[s]] for s in SPLITS)
        return train, validation, test

    def _labels(
        self, target: str, known: Mapping[Split, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        train, validation, test = (self.grown.whole(f"{s} {target}")[known[s]] for s in SPLITS)
        return train, validation, test


def targets_of(asked: tuple[str, ...], collection: Collection) -> tuple[str, ...]:
    """The targets to read, the collection's own if none is asked for. Raises Refusal for unknown ones."""
    known, title = tuple(collection.targets), collection.title
    for target in asked:
        if target not in known:
            has = f"it has {', '.join(known)}" if known else "its images have no labels"
            raise Refusal(f"{title} has no label “{target}”: {has}.")
    return asked or collection.defaults
