"""Linear readers and average patch structure over the bundled probe set, along the stages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from probes.bootstrap import Score, mean_score
from probes.geometry import participation_ratio, token_norm
from probes.linear import LogisticProbe, logistic
from probes.patches import STRUCTURE, Structure, Surroundings, structure, summarise, surroundings
from probes.ridge import RIDGE_PENALTIES, LabelMoments, RidgePath
from probes.segmentation import Segmentation, confusions, intersection_over_union, mean_iou, segmentation
from workbench.capture.hidden import Captured
from workbench.datasets.scenes import Batch, stream
from workbench.images.scenes import CLASSES, Split
from workbench.models.protocol import Model
from workbench.panels.layers.measures import accuracy_of
from workbench.panels.layers.seeing import see
from workbench.panels.layers.table import (
    UNKNOWN,
    Chance,
    Measured,
    Row,
    curve,
    go_on,
    labelled,
    stage_rows,
)
from workbench.panels.specimen import degrade

if TYPE_CHECKING:
    from workbench.panels.layers.config import LayersConfig, Progress

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
READING, FITTING = 0.8, 0.2
"""Shares of the bar: passes through the model, then fits."""


def measure(config: LayersConfig, model: Model, progress: Progress, stop: Callable[[], bool]) -> Measured:
    """Three passes over the splits, then the fits; see `study.run`.

    Memory holds pooled states of all images, tokens of one batch only, and for each stage the sums of its
    patch reader: a square of its width in float64.
    """
    return _ProbeSet(config, model, progress, stop).measured()


class _ProbeSet:
    def __init__(
        self, config: LayersConfig, model: Model, progress: Progress, stop: Callable[[], bool]
    ) -> None:
        self.config, self.model, self.progress, self.stop = config, model, progress, stop
        self.counts = dict(zip(SPLITS, (config.n_train, config.n_validation, config.n_test), strict=True))
        self.seen = 0
        self.hash = hashlib.sha256()
        self.pooled: dict[str, list[list[np.ndarray]]] = {split: [] for split in SPLITS}
        self.targets: dict[str, list[dict[str, np.ndarray]]] = {split: [] for split in SPLITS}
        self.first: Captured | None = None

    def measured(self) -> Measured:
        moments = self._gather()
        paths = [RidgePath(sums) if sums.n else None for sums in moments]
        controls = [RidgePath(sums, shuffled=True) if sums.n else None for sums in moments]
        penalties = self._choose(paths)

        told: list[list[np.ndarray]] = [[] for _ in paths]
        misled: list[list[np.ndarray]] = [[] for _ in paths]
        averages = _Averages(len(paths), self.config)
        for batch, captured in self._batches("test"):
            averages.add(captured, labelled(captured, self._regions(batch)))
            classes = labelled(captured, self._truth(batch))
            for i, (states, truth) in enumerate(zip(captured.states, classes, strict=True)):
                for path, into in ((paths[i], told[i]), (controls[i], misled[i])):
                    if path is not None and truth is not None:
                        guess = path.classes(_rows(states), penalties[i]).reshape(truth.shape)
                        into.append(confusions(truth, guess, len(CLASSES)))
        assert self.first is not None
        curves = self._global() + self._segmentation(told, misled) + averages.curves(self.first)
        return Measured(
            tables={"curves": curves, "classes": self._classes(told), "stages": stage_rows(self.first)},
            hashes={"probe set": self.hash.hexdigest()},
        )

    def _batches(self, split: Split) -> Iterator[tuple[Batch, Captured]]:
        config, total = self.config, sum(self.counts.values())
        for batch in stream(split, self.counts[split], batch=config.batch):
            go_on(self.stop)
            self.progress(READING * self.seen / total, f"reading scenes, {self.seen:,} of {total:,}")
            self.hash.update(batch.images.tobytes())
            shown = [
                degrade(image, config.corruption, config.intensity, config.seed + int(seed))
                for image, seed in zip(batch.images, batch.seeds, strict=True)
            ]
            captured = see(self.model, shown, config.question)
            self.first = self.first or captured
            self.pooled[split].append([states.mean(axis=1) for states in captured.states])
            self.targets[split].append(batch.targets)
            self.seen += len(batch)
            yield batch, captured

    def _gather(self) -> list[LabelMoments]:
        """The sums of every stage's patch reader; a stage that stands on no known grid gets none."""
        moments: list[LabelMoments] = []
        for batch, captured in self._batches("train"):
            if not moments:
                moments = [LabelMoments(x.shape[2], len(CLASSES), self.config.seed) for x in captured.states]
            classes = labelled(captured, self._truth(batch))
            for sums, states, truth in zip(moments, captured.states, classes, strict=True):
                if truth is not None:
                    sums.update(_rows(states), truth.ravel())
        return moments

    def _choose(self, paths: list[RidgePath | None]) -> list[int]:
        """For each stage the index of the penalty with the best mean IoU on the validation split."""
        classes = len(CLASSES)
        tried = np.zeros((len(paths), len(RIDGE_PENALTIES), classes, classes))
        for batch, captured in self._batches("validation"):
            truths = labelled(captured, self._truth(batch))
            for i, (path, states, truth) in enumerate(zip(paths, captured.states, truths, strict=True)):
                if path is not None and truth is not None:
                    for k, guess in enumerate(path.classes(_rows(states))):
                        tried[i, k] += confusions(truth, guess.reshape(truth.shape), classes).sum(axis=0)
        return [int(best) for best in np.nan_to_num(mean_iou(tried)).argmax(axis=1)]

    def _truth(self, batch: Batch) -> Callable[[np.ndarray], np.ndarray]:
        """The classes of patches with given boxes, (N, patches)."""
        return lambda boxes: batch.patch_classes(boxes, self.config.purity)

    def _regions(self, batch: Batch) -> Callable[[np.ndarray], np.ndarray]:
        """The regions that patches with given boxes belong to, (N, patches)."""
        return lambda boxes: batch.patch_regions(boxes, self.config.purity)

    def _global(self) -> list[Row]:
        config = self.config
        assert self.first is not None
        stages = self.first.stages
        table: list[Row] = []
        for t, target in enumerate(config.targets):
            found: list[LogisticProbe] = []
            for i, stage in enumerate(stages):
                go_on(self.stop)
                done = (t * len(stages) + i) / (len(config.targets) * len(stages))
                self.progress(READING + FITTING * done, f"fitting linear readers of {target}, {stage.name}")
                train, validation, test = (self._pooled(split, i, target) for split in SPLITS)
                found.append(logistic(train, validation, test, resamples=config.resamples, seed=config.seed))
            chance = [(p.control.value, p.control.low, p.control.high) for p in found]
            scores = [p.accuracy for p in found]
            table += curve(accuracy_of(target), stages, scores, "images", chance, found[0].majority)
        return table

    def _pooled(self, split: Split, stage: int, target: str) -> tuple[np.ndarray, np.ndarray]:
        features = np.concatenate([batch[stage] for batch in self.pooled[split]])
        return features, np.concatenate([batch[target] for batch in self.targets[split]])

    def _segmentation(self, told: list[list[np.ndarray]], misled: list[list[np.ndarray]]) -> list[Row]:
        assert self.first is not None
        true, shuffled = [self._scored(parts) for parts in told], [self._scored(parts) for parts in misled]
        commonest = self._commonest(told)
        table: list[Row] = []
        for name, field in (("patch accuracy", "accuracy"), ("patch mIoU", "miou")):
            scores: list[Score | None] = [None if s is None else getattr(s, field) for s in true]
            controls: list[Score | None] = [None if s is None else getattr(s, field) for s in shuffled]
            chance: list[Chance] = [UNKNOWN if c is None else (c.value, c.low, c.high) for c in controls]
            majority = [float("nan") if s is None else getattr(s, field).value for s in commonest]
            table += curve(name, self.first.stages, scores, "images", chance, majority)
        return table

    def _commonest(self, told: list[list[np.ndarray]]) -> list[Segmentation | None]:
        """For each stage what saying the commonest class of its patches always gives."""
        found: dict[bytes, Segmentation | None] = {}
        out: list[Segmentation | None] = []
        for parts in told:
            if not parts:
                out.append(None)
                continue
            truth = np.concatenate(parts).sum(axis=2)  # (N, classes): the same for all stages of one grid
            if (key := truth.tobytes()) not in found:
                always = np.zeros((*truth.shape, truth.shape[1]), dtype=truth.dtype)
                always[:, :, truth.sum(axis=0).argmax()] = truth
                found[key] = self._scored([always])
            out.append(found[key])
        return out

    def _scored(self, parts: list[np.ndarray]) -> Segmentation | None:
        if not parts:
            return None
        return segmentation(np.concatenate(parts), resamples=self.config.resamples, seed=self.config.seed)

    def _classes(self, told: list[list[np.ndarray]]) -> list[Row]:
        """IoU of each class at each stage."""
        assert self.first is not None
        table: list[Row] = []
        for stage, parts in zip(self.first.stages, told, strict=True):
            if not parts:
                continue
            pooled = np.concatenate(parts).sum(axis=0)
            table += [
                {
                    "stage": stage.name,
                    "index": stage.index,
                    "class": name,
                    "iou": float(iou),
                    "patches": int(n),
                }
                for name, iou, n in zip(
                    CLASSES, intersection_over_union(pooled), pooled.sum(axis=1), strict=True
                )
            ]
        return table


class _Averages:
    """Measures of each test image, averaged at the end."""

    def __init__(self, stages: int, config: LayersConfig) -> None:
        self.config = config
        self.structure: list[list[Structure]] = [[] for _ in range(stages)]
        self.surroundings: list[list[Surroundings]] = [[] for _ in range(stages)]
        self.dimension: list[list[np.ndarray]] = [[] for _ in range(stages)]
        self.norm: list[list[np.ndarray]] = [[] for _ in range(stages)]

    def add(self, captured: Captured, regions: list[np.ndarray | None]) -> None:
        """Measure one batch."""
        centre = self.config.centre
        for i, (states, grid, names) in enumerate(zip(captured.states, captured.grids, regions, strict=True)):
            if names is not None:
                self.structure[i].append(structure(states, names, centre=centre))
            if grid is not None and grid.rows * grid.cols > 1:
                self.surroundings[i].append(surroundings(states, grid.rows, grid.cols, centre=centre))
            self.dimension[i].append(participation_ratio(states))
            self.norm[i].append(token_norm(states))

    def curves(self, captured: Captured) -> list[Row]:
        """Rows of every measure, with intervals from resampling images."""
        stages = captured.stages
        found: dict[str, list[Score | None]] = {}
        chance: dict[str, list[Chance]] = {}

        def keep(name: str, stage: int, score: Score, by_chance: float) -> None:
            found.setdefault(name, [None] * len(stages))[stage] = score
            chance.setdefault(name, [UNKNOWN] * len(stages))[stage] = (by_chance, np.nan, np.nan)

        for i in range(len(stages)):
            if self.structure[i]:
                parts = self.structure[i]
                whole = Structure(
                    np.concatenate([part.cohesion for part in parts]),
                    np.concatenate([part.coupling for part in parts]),
                    np.concatenate([part.chance for part in parts]),
                )
                averages = summarise(whole, resamples=self.config.resamples, seed=self.config.seed)
                for name in STRUCTURE:
                    keep(name, i, averages[name], averages[name].chance)
            if self.surroundings[i]:
                near = np.concatenate([part.near for part in self.surroundings[i]])
                far = np.concatenate([part.far for part in self.surroundings[i]])
                moran = np.concatenate([part.moran for part in self.surroundings[i]])
                by_chance = float(np.concatenate([part.chance for part in self.surroundings[i]]).mean())
                keep("neighbour cosine", i, self._mean(near), by_chance)
                keep("far cosine", i, self._mean(far), by_chance)
                keep("neighbour - far", i, self._mean(near - far), 0.0)
                keep("Moran's I", i, self._mean(moran), -1.0 / (captured.states[i].shape[1] - 1))
            keep("effective dimension", i, self._mean(np.concatenate(self.dimension[i])), np.nan)
            keep("token norm", i, self._mean(np.concatenate(self.norm[i])), np.nan)
        return [row for name in found for row in curve(name, stages, found[name], "images", chance[name])]

    def _mean(self, values: np.ndarray) -> Score:
        return mean_score(values, resamples=self.config.resamples, seed=self.config.seed)


def _rows(states: np.ndarray) -> np.ndarray:
    """(N, tokens, width) → (N · tokens, width)."""
    return states.reshape(-1, states.shape[2])
