"""Patch content: depth and pixels, read from each token alone; and the picture that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from probes.bootstrap import Score
from probes.boxes import box_means
from probes.content import mean_known, picture, r_squared, reading, residuals
from probes.ridge import RIDGE_PENALTIES, Moments, RidgePath
from workbench.datasets.batches import Batch
from workbench.datasets.collection import Split
from workbench.panels.layers.parts.part import Arrays, Grown, Part, Say, Seen, Subject, rows
from workbench.panels.layers.parts.sums import held_sums, restored_sums
from workbench.panels.layers.table import Choice, Row, choice, curve

CELLS = 4
"""Cells along each side of a patch whose mean colours are read: 16 of them, 48 numbers."""
COLOURS = CELLS * CELLS * 3
TRIED = "tried "
PICTURES = 4
"""Test images whose reading is kept as a picture."""


class PatchContent(Part):
    """Ridge to the colours of 4 × 4 cells of the undamaged picture, and to its depth where that is known."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.sums: dict[int, Moments] = {}
        self.paths: dict[int, RidgePath] = {}
        self.tried: dict[int, np.ndarray] = {}
        """By stage `residuals` of each penalty (penalties, outputs, 4), summed over the validation images."""
        self.grown = Grown()

    def take(self, split: Split, seen: Seen) -> None:
        """Gather sums, then try every penalty, then score the best one and its control."""
        known: dict[bytes, np.ndarray] = {}
        for i, (states, grid) in enumerate(zip(seen.captured.states, seen.captured.grids, strict=True)):
            if grid is None:
                continue
            key = grid.boxes.tobytes()
            if key not in known:
                known[key] = targets(seen.batch, grid.boxes)
            truth = known[key]
            if split == "train":
                if i not in self.sums:
                    self.sums[i] = Moments(states.shape[2], truth.shape[2], self.config.seed)
                self.sums[i].update(rows(states), rows(truth))
            elif i in self.paths and split == "validation":
                tried = self.paths[i].values(rows(states)).reshape(-1, *truth.shape)
                sums = np.stack([residuals(truth, each).sum(axis=0) for each in tried])
                self.tried[i] = self.tried.get(i, 0) + sums
            elif i in self.paths:
                pixels, depth = self._best(i)
                for name, path in (("true", self.paths[i]), ("control", self.paths[i].control())):
                    read = path.values(rows(states), pixels)
                    if truth.shape[2] > COLOURS:
                        read[:, COLOURS:] = path.values(rows(states), depth)[:, COLOURS:]
                    told = read.reshape(truth.shape)
                    self.grown.add(f"{name} {i}", residuals(truth, told))
                    self.grown.add(f"mean {name} {i}", residuals(mean_colour(truth), mean_colour(told)))
                    if name == "true":
                        self._keep(i, told, grid.rows, grid.cols, seen.batch)

    def bytes_of(self, split: Split) -> int:
        """Of the test split the sums of either reader's outputs, depth among them, and of mean colours."""
        return 8 * 4 * 2 * (COLOURS + 1 + 3) * len(self.axis) if split == "test" else 0

    def end(self, split: Split) -> None:
        """Solve for the readers once their sums are whole."""
        if split == "train":
            self.paths = {i: RidgePath(sums) for i, sums in self.sums.items() if sums.n}

    def held(self) -> Arrays:
        """The sums, and the residuals of the splits after them."""
        tried = {f"{TRIED}{i}": sums for i, sums in self.tried.items()}
        return held_sums(self.sums) | tried | self.grown.held()

    def restore(self, held: Mapping[str, np.ndarray]) -> None:
        """Go on from them."""
        outputs = {int(key.split("/")[1]): v.shape[0] for key, v in held.items() if key.endswith("/y")}
        self.sums, rest = restored_sums(
            held, lambda i: Moments(self.axis.widths[i], outputs[i], self.config.seed)
        )
        self.tried = {int(k.removeprefix(TRIED)): v for k, v in rest.items() if k.startswith(TRIED)}
        self.grown.restore({k: v for k, v in rest.items() if not k.startswith(TRIED)})

    def curves(self, say: Say, stop: Callable[[], bool]) -> list[Row]:
        """R² of pixels, mean colours and depth by stage."""
        table = self._curve("pixels R²", "{} {}", slice(0, COLOURS))
        table += self._curve("colour R²", "mean {} {}", slice(None))
        return table + self._curve("depth R²", "{} {}", slice(COLOURS, None))

    def arrays(self) -> Arrays:
        """Pictures read at each stage, uint8 (n, H, W, 3), as read_000 …, and those that were shown."""
        found = {}
        for key, values in self.grown.held().items():
            if key.startswith("picture "):
                name = key.removeprefix("picture ")
                found[f"read_{name}" if name == "truth" else f"read_{int(name):03d}"] = values[:PICTURES]
        return found

    def _best(self, stage: int) -> tuple[int, int]:
        """The penalties with the best validation R² of pixels and of depth."""
        every = r_squared(self.tried[stage])
        pixels = _best_of(mean_known(every[:, :COLOURS]))
        return pixels, _best_of(every[:, COLOURS]) if every.shape[1] > COLOURS else pixels

    def _curve(self, measure: str, key: str, outputs: slice) -> list[Row]:
        scores: list[Score | None] = []
        controls: list[Score | None] = []
        for i in range(len(self.axis)):
            parts = [
                self.grown.whole(key.format(name, i))[:, outputs]
                for name in ("true", "control")
                if key.format(name, i) in self.grown
            ]
            if not parts or not parts[0].shape[1]:
                scores.append(None)
                controls.append(None)
                continue
            told, misled = (
                reading(part, resamples=self.config.resamples, seed=self.config.seed).r2 for part in parts
            )
            scores.append(told)
            controls.append(misled)
        if not any(scores):
            return []
        return curve(measure, self.axis.stages, scores, "images", controls, chosen=self._chosen(measure))

    def _chosen(self, measure: str) -> list[Choice]:
        """The penalty that validation chose at each stage: that of pixels for their mean colours too."""
        which = 1 if measure.startswith("depth") else 0
        return [
            choice("λ / n", RIDGE_PENALTIES[self._best(i)[which]], RIDGE_PENALTIES)
            if i in self.tried
            else Choice()
            for i in range(len(self.axis))
        ]

    def _keep(self, stage: int, told: np.ndarray, rows_: int, cols: int, batch: Batch) -> None:
        """Keep what is read of the first test images as pictures, as long as they are of one size."""
        key = f"picture {stage}"
        if key in self.grown and len(self.grown.whole(key)) >= PICTURES:
            return
        drawn = [picture(cells[:, :COLOURS], rows_, cols, side=CELLS) for cells in told]
        pixels = (np.clip(np.stack(drawn), 0, 1) * 255 + 0.5).astype(np.uint8)
        if key in self.grown and self.grown.whole(key).shape[1:] != pixels.shape[1:]:
            return
        self.grown.add(key, pixels)
        if stage == next(iter(self.paths)):
            self.grown.add("picture truth", batch.images)


def targets(batch: Batch, boxes: np.ndarray) -> np.ndarray:
    """What is to be read of each patch: (N, tokens, 48), colours 0..1, and depth 0..1 where it is known."""
    colours = box_means(batch.images / 255.0, boxes, side=CELLS)
    depth = batch.depth
    return colours if depth is None else np.concatenate([colours, box_means(depth, boxes)], axis=2)


def mean_colour(values: np.ndarray) -> np.ndarray:
    """Mean colours (N, tokens, 3) of patches' cells: a reader of the mean is the mean of its readings."""
    cells = values[..., :COLOURS].reshape(*values.shape[:2], CELLS * CELLS, 3)
    return np.asarray(cells.mean(axis=2))


def _best_of(values: np.ndarray) -> int:
    """The place of the largest of those that are known; a constant channel has no R²."""
    return int(np.nan_to_num(values, nan=-np.inf).argmax())
