"""Global function of more images than memory holds: ridge regression from sums, in place of logistic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from probes.bootstrap import Score, mean_scores, share
from probes.ridge import RIDGE_PENALTIES, LabelMoments, RidgePath
from workbench.datasets.collection import Split
from workbench.panels.layers.measures import streamed_of
from workbench.panels.layers.parts.part import Arrays, Grown, Part, Say, Seen, Subject
from workbench.panels.layers.parts.pooled import targets_of, too_few
from workbench.panels.layers.parts.sums import held_sums, restored_sums
from workbench.panels.layers.table import Row, choice, curve

NONE = -1
"""In place of right (1) or wrong (0), of an image without the label."""


class Streamed(Part):
    """Ridge to class indicators from the mean of an image's tokens.

    Holds, for each stage and label, a square of the width; of an image a byte for each reader.
    """

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.targets = targets_of(self.config.targets, self.collection)
        self.sums: dict[int, LabelMoments] = {reader: self._fresh(reader) for reader, _, _ in self._readers()}
        self.paths: dict[int, RidgePath] = {}
        self.tried = np.zeros((len(self.sums), len(RIDGE_PENALTIES)))
        self.grown = Grown()

    def _readers(self) -> Iterator[tuple[int, int, str]]:
        """A number for each stage and label, the stage, and the label."""
        for k in range(len(self.axis) * len(self.targets)):
            yield k, k // len(self.targets), self.targets[k % len(self.targets)]

    def _fresh(self, reader: int) -> LabelMoments:
        stage, label = divmod(reader, len(self.targets))
        classes = len(self.collection.targets[self.targets[label]])
        return LabelMoments(self.axis.widths[stage], classes, self.config.seed)

    def take(self, split: Split, seen: Seen) -> None:
        """Gather sums, then try every penalty, then score the best one and its control."""
        pooled = [states.mean(axis=1, dtype=np.float32) for states in seen.captured.states]
        labels = {target: seen.batch.labels(target) for target in self.targets}
        for target, truth in labels.items():
            self.grown.add(f"{split} {target}", truth)
        for reader, stage, target in self._readers():
            x, truth = pooled[stage], labels[target]
            if split == "train":
                self.sums[reader].update(x, truth)
            elif (path := self.paths.get(reader)) is None:
                continue
            elif split == "validation":
                self.tried[reader] += (path.classes(x) == truth).sum(axis=1)
            else:
                best = int(self.tried[reader].argmax())
                for name, asked in (("true", path), ("control", path.control())):
                    right = np.where(truth >= 0, asked.classes(x, best) == truth, NONE).astype(np.int8)
                    self.grown.add(f"{name} {reader}", right)

    def bytes_of(self, split: Split) -> int:
        """The labels; of the test split what was right, which is scored in float64, a label at a time."""
        right = 2 * len(self.sums) + 8 * 2 * len(self.axis) if split == "test" else 0
        return 8 * len(self.targets) + right

    def end(self, split: Split) -> None:
        """Solve for the readers once their sums are whole."""
        if split == "train":
            self.paths = {k: RidgePath(sums) for k, sums in self.sums.items() if sums.n}

    def held(self) -> Arrays:
        """The sums, and what was right of the splits after them."""
        return held_sums(self.sums) | self.grown.held() | {"tried": self.tried}

    def restore(self, held: Mapping[str, np.ndarray]) -> None:
        """Go on from them."""
        rest = dict(held)
        self.tried = rest.pop("tried")
        self.sums, rest = restored_sums(rest, self._fresh)
        self.grown.restore(rest)

    def curves(self, say: Say, stop: Callable[[], bool]) -> list[Row]:
        """Accuracy by stage and label, beside the same readers of shuffled labels."""
        table: list[Row] = []
        for target in self.targets:
            if note := too_few(self.grown, target):
                self.notes.append(note)
                continue
            readers = [k for k, _, label in self._readers() if label == target]
            test = self.grown.whole(f"test {target}")
            counts = self.sums[readers[0]].y  # The same labels at every stage.
            scores = self._scored(readers, test >= 0)
            best = [RIDGE_PENALTIES[int(self.tried[k].argmax())] for k in readers]
            chosen = [choice("λ / n", penalty, RIDGE_PENALTIES) for penalty in best]
            table += curve(
                streamed_of(target),
                self.axis.stages,
                list(scores[::2]),
                "images",
                scores[1::2],
                float((test[test >= 0] == counts.argmax()).mean()),
                chosen=chosen,
            )
        return table

    def _scored(self, readers: list[int], known: np.ndarray) -> list[Score]:
        """True reader and control of each stage in turn, from the same resamples."""
        right = [self.grown.whole(f"{name} {k}")[known] for k in readers for name in ("true", "control")]
        drawn = mean_scores(
            np.array(right, dtype=np.float64), resamples=self.config.resamples, seed=self.config.seed
        )
        return [share(score) for score in drawn]
