"""Global function: what a linear reader, or the nearest neighbours, find in the mean of an image's tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from probes.bootstrap import Score
from probes.linear import INVERSE_PENALTIES
from probes.neighbours import COUNTS, nearest
from workbench.datasets.collection import SPLITS, Collection, Split
from workbench.errors import Cancelled, Refusal
from workbench.panels.layers.measures import accuracy_of, neighbours_of
from workbench.panels.layers.parts.part import Arrays, Grown, Part, Say, Seen, Subject
from workbench.panels.layers.table import UNKNOWN, Chance, Choice, Row, choice, curve

Three = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Of the training, validation and test split."""


class Pooled(Part):
    """Mean-pooled states of every image at every stage, and the labels that are asked for."""

    instead = "ask for “ridge reader” in place of “linear reader” and “neighbours”, as it holds no states"

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.targets = targets_of(self.config.targets, self.collection)
        self.grown = Grown()

    def take(self, split: Split, seen: Seen) -> None:
        """Keep the mean of the tokens."""
        for i, states in enumerate(seen.captured.states):
            self.grown.add(f"{split} {i}", states.mean(axis=1, dtype=np.float32))
        for target in self.targets:
            self.grown.add(f"{split} {target}", seen.batch.labels(target))

    def bytes_of(self, split: Split) -> int:
        """A float32 for each number of a state, and the labels."""
        return 4 * sum(self.axis.widths) + 8 * len(self.targets)

    def held(self) -> Arrays:
        """The pooled states and the labels."""
        return self.grown.held()

    def restore(self, held: Mapping[str, np.ndarray]) -> None:
        """Go on from them."""
        self.grown.restore(held)

    def curves(self, say: Say, stop: Callable[[], bool]) -> list[Row]:
        """Accuracy by stage and target, of the readers that are asked for."""
        found = {target: self._labels(target) for target in self.targets}
        labels = {target: of for target, of in found.items() if of is not None}
        if not labels:
            return []
        stages = [self._features(i) for i in range(len(self.axis))]
        table: list[Row] = []
        if "linear reader" in self.config.measures:
            table += self._linear(stages, labels, say, stop)
        if "neighbours" in self.config.measures:
            for target, of in labels.items():
                table += self._neighbours(stages, target, of, say)
        return table

    def _linear(
        self,
        stages: Sequence[Three],
        labels: Mapping[str, Three],
        say: Say,
        stop: Callable[[], bool],
    ) -> list[Row]:
        from probes.linear import logistic_stages
        from probes.workers import Stopped

        try:
            found = logistic_stages(
                stages,
                labels,
                resamples=self.config.resamples,
                seed=self.config.seed,
                device=self.model.card.device,
                progress=lambda done, of: say(done / of, f"fitting linear readers, {done} of {of}"),
                stop=stop,
            )
        except Stopped:
            raise Cancelled("Stopped.") from None
        table: list[Row] = []
        for target, read in found.items():
            scores: list[Score | None] = [p.accuracy for p in read]
            table += curve(
                accuracy_of(target),
                self.axis.stages,
                scores,
                "images",
                [p.control for p in read],
                read[0].majority,
                chosen=[choice("C", p.inverse_penalty, INVERSE_PENALTIES) for p in read],
            )
        return table

    def _neighbours(self, stages: Sequence[Three], target: str, labels: Three, say: Say) -> list[Row]:
        scores: list[Score | None] = []
        chosen: list[Choice] = []
        known = [of >= 0 for of in labels]
        train, validation, test = (of[where] for of, where in zip(labels, known, strict=True))
        for stage, features in zip(self.axis.stages, stages, strict=True):
            say(1.0, f"nearest neighbours of {target}, {stage.name}")
            x, xv, xt = (of[where] for of, where in zip(features, known, strict=True))
            found = nearest(
                (x, train),
                (xv, validation),
                (xt, test),
                resamples=self.config.resamples,
                seed=self.config.seed,
            )
            scores.append(found.accuracy)
            chosen.append(choice("k", found.neighbours, COUNTS, ends=COUNTS[-1:]))
        guess = float((test == np.bincount(train).argmax()).mean())
        unknown: list[Chance] = [UNKNOWN] * len(scores)
        return curve(neighbours_of(target), self.axis.stages, scores, "images", unknown, guess, chosen=chosen)

    def _features(self, stage: int) -> Three:
        train, validation, test = (self.grown.whole(f"{split} {stage}") for split in SPLITS)
        return train, validation, test

    def _labels(self, target: str) -> Three | None:
        """Labels of the three splits, -1 for none; None, with a note, where too few images have one."""
        if note := too_few(self.grown, target):
            self.notes.append(note)
            return None
        train, validation, test = (self.grown.whole(f"{split} {target}") for split in SPLITS)
        return train, validation, test


def too_few(grown: Grown, target: str) -> str:
    """Why a reader of the labels gathered under "SPLIT TARGET" is not fitted; empty where it can be."""
    for split, least in zip(SPLITS, (2, 1, 1), strict=True):
        labels = grown.whole(f"{split} {target}")
        known = labels[labels >= 0]
        if len(np.unique(known)) < least:
            return (
                f"The {len(known):,} images of the {split} split that could be read show "
                f"{'one' if len(known) else 'no'} value of “{target}” only: a reader needs two or more. "
                "Ask for more images, or for another target."
            )
    return ""


def targets_of(asked: tuple[str, ...], collection: Collection) -> tuple[str, ...]:
    """The targets to read, the collection's own if none is asked for. Raises Refusal for unknown ones."""
    known, title = tuple(collection.targets), collection.title
    for target in asked:
        if target not in known:
            has = f"it has {', '.join(known)}" if known else "its images have no labels"
            raise Refusal(f"{title} has no label “{target}”: {has}.")
    return asked or collection.defaults
