"""Patch content: the class of each patch, read from its token alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from probes.bootstrap import Score
from probes.ridge import RIDGE_PENALTIES, LabelMoments, RidgePath
from probes.segmentation import Segmentation, intersection_over_union, mean_iou, segmentation, tallies
from workbench.datasets.collection import Split
from workbench.panels.layers.parts.part import Arrays, Grown, Part, Say, Seen, Subject, rows
from workbench.panels.layers.parts.sums import held_sums, restored_sums
from workbench.panels.layers.table import Choice, Row, choice, curve


class PatchClasses(Part):
    """Ridge to class indicators at every stage; a stage that stands on no known grid has none."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.count = len(self.collection.classes)
        self.sums: dict[int, LabelMoments] = {}
        self.paths: dict[int, RidgePath] = {}
        self.tried = np.zeros((len(self.axis), len(RIDGE_PENALTIES), 3, self.count))
        self.told = Grown()

    def take(self, split: Split, seen: Seen) -> None:
        """Gather sums, then try every penalty, then score the best one and its control."""
        for i, (states, truth) in enumerate(zip(seen.captured.states, seen.classes, strict=True)):
            if truth is None:
                continue
            if split == "train":
                if i not in self.sums:
                    self.sums[i] = LabelMoments(states.shape[2], self.count, self.config.seed)
                self.sums[i].update(rows(states), truth.ravel())
            elif i in self.paths and split == "validation":
                for k, guess in enumerate(self.paths[i].classes(rows(states))):
                    self.tried[i, k] += tallies(truth, guess.reshape(truth.shape), self.count).sum(axis=0)
            elif i in self.paths:
                best = int(np.nan_to_num(mean_iou(self.tried[i])).argmax())
                for name, path in (("true", self.paths[i]), ("control", self.paths[i].control())):
                    guess = path.classes(rows(states), best).reshape(truth.shape)
                    self.told.add(f"{name} {i}", small(tallies(truth, guess, self.count)))

    def bytes_of(self, split: Split) -> int:
        """Of the test split the tallies of either reader; they are scored in float64, a stage at a time."""
        if split != "test":
            return 0
        kept = 2 * sum(np.min_scalar_type(tokens).itemsize for tokens in self.axis.tokens)
        return 3 * self.count * (kept + 8)

    def end(self, split: Split) -> None:
        """Solve for the readers once their sums are whole."""
        if split == "train":
            self.paths = {i: RidgePath(sums) for i, sums in self.sums.items() if sums.n}

    def held(self) -> Arrays:
        """The sums, and the tallies of the splits after them."""
        return held_sums(self.sums) | self.told.held() | {"tried": self.tried}

    def restore(self, held: Mapping[str, np.ndarray]) -> None:
        """Go on from them."""
        rest = dict(held)
        self.tried = rest.pop("tried")
        self.sums, rest = restored_sums(
            rest, lambda i: LabelMoments(self.axis.widths[i], self.count, self.config.seed)
        )
        self.told.restore(rest)

    def curves(self, say: Say, stop: Callable[[], bool]) -> list[Row]:
        """Accuracy over patches and mean IoU by stage."""
        if note := self._too_few():
            self.notes.append(note)
            return []
        true, shuffled = self._scored("true"), self._scored("control")
        if not any(true):
            return []
        commonest = self._commonest()
        table: list[Row] = []
        for name, field in (("patch accuracy", "accuracy"), ("patch mIoU", "miou")):
            scores: list[Score | None] = [None if s is None else getattr(s, field) for s in true]
            controls: list[Score | None] = [None if s is None else getattr(s, field) for s in shuffled]
            majority = [float("nan") if s is None else getattr(s, field).value for s in commonest]
            table += curve(
                name, self.axis.stages, scores, "images", controls, majority, chosen=self._chosen()
            )
        return table

    def tables(self) -> dict[str, list[Row]]:
        """IoU of each class of the truth, at each stage: their mean is the mean IoU."""
        table: list[Row] = []
        if self._too_few():
            return {}
        for i, stage in enumerate(self.axis.stages):
            if f"true {i}" not in self.told:
                continue
            pooled = self.told.whole(f"true {i}").sum(axis=0)
            table += [
                {
                    "stage": stage.name,
                    "index": stage.index,
                    "class": name,
                    "iou": float(iou),
                    "patches": int(n),
                }
                for name, iou, n in zip(
                    self.collection.classes, intersection_over_union(pooled), pooled[1], strict=True
                )
                if n
            ]
        return {"classes": table} if table else {}

    def _too_few(self) -> str:
        """Why classes of patches are not read; empty where they can be."""
        learned = max((int(np.count_nonzero(sums.y)) for sums in self.sums.values()), default=0)
        if learned > 1:
            return ""
        return (
            f"Patches of training images show {'one class only' if learned else 'no class'}, so none is "
            "read: a reader needs two or more. A patch has a class where one covers enough of it (--purity)."
        )

    def _chosen(self) -> list[Choice]:
        """The penalty that validation chose at each stage, by mean IoU; for accuracy too."""
        best = np.nan_to_num(mean_iou(self.tried)).argmax(axis=1)
        return [choice("λ / n", RIDGE_PENALTIES[k], RIDGE_PENALTIES) for k in best]

    def _scored(self, name: str) -> list[Segmentation | None]:
        return [
            self._score(self.told.whole(f"{name} {i}")) if f"{name} {i}" in self.told else None
            for i in range(len(self.axis))
        ]

    def _commonest(self) -> Sequence[Segmentation | None]:
        """For each stage what always saying the class gives that its training patches show most often."""
        found: dict[bytes, Segmentation | None] = {}
        out: list[Segmentation | None] = []
        for i in range(len(self.axis)):
            if f"true {i}" not in self.told:
                out.append(None)
                continue
            truth = self.told.whole(f"true {i}")[:, 1]  # The same for all stages of one grid.
            most = self.sums[i].y.argmax()
            if (key := truth.tobytes() + most.tobytes()) not in found:
                always = np.zeros((len(truth), 3, self.count), dtype=np.int64)
                always[:, 1] = truth
                always[:, 0, most], always[:, 2, most] = truth[:, most], truth.sum(axis=1)
                found[key] = self._score(always)
            out.append(found[key])
        return out

    def _score(self, counts: np.ndarray) -> Segmentation | None:
        if not counts[:, 1].any():
            return None
        return segmentation(counts, resamples=self.config.resamples, seed=self.config.seed)


def small(counts: np.ndarray) -> np.ndarray:
    """Counts in the smallest unsigned integer that holds them."""
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))))
