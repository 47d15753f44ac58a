"""What an atlas keeps of passes through a model, made now or saved earlier: a sample of their tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.datasets.collection import UNKNOWN
from workbench.errors import Refusal, go_on
from workbench.models.protocol import Grid, Model, Stage
from workbench.panels.atlas.config import AtlasConfig
from workbench.panels.atlas.sample import Sample
from workbench.panels.atlas.sheet import Sheet
from workbench.panels.atlas.subject import Some, Subject
from workbench.panels.needs import chosen_stages
from workbench.panels.specimen import CLEAN, degrade

if TYPE_CHECKING:
    from workbench.capture.hidden import Captured
    from workbench.images.read import Picture

READING = 0.7
"""Share of the bar that the passes take; then come components and layout."""


def laid_out(names: Sequence[str], stages: Sequence[Stage]) -> list[Stage]:
    """The stages of these names; without names the language model's first, middle and last of them.

    Raises Refusal where there is no stage of a name.
    """
    if names:
        return chosen_stages(names, stages)
    layers = [stage for stage in stages if stage.band == "llm"] or list(stages)
    return [layers[k] for k in sorted({0, len(layers) // 2, len(layers) - 1})]


class Reading:
    """What is kept of the passes over a subject. ``every``: the stages that they show."""

    def __init__(self, config: AtlasConfig, every: Sequence[Stage], picture: Picture | None) -> None:
        self.config, self.every, self.picture = config, every, picture
        self.stages = laid_out(config.stages, every)
        self.conditions = [CLEAN] * config.with_clean + [config.corruption]
        each = config.tokens // (len(self.stages) * len(self.conditions))
        self.samples = {
            (stage.name, condition): Sample(each, config.seed)
            for stage in self.stages
            for condition in self.conditions
        }
        self.subject = Subject(config, picture)
        self.total = self.subject.count * len(self.conditions)
        self.sheet = Sheet(self.total)
        self.shown: list[dict[str, Any]] = []
        self.seen = 0
        self.labels: list[str | None] = []
        """Of what was shown, by its number."""
        self._hash = hashlib.sha256()

    def read(self, model: Model, progress: Callable[[float, str], None], stop: Callable[[], bool]) -> None:
        """One pass for each batch and condition."""
        from workbench.capture.hidden import capture, finite

        config, wanted = self.config, {stage.name for stage in self.stages}
        first = 0
        for some in self.subject.pictures():
            for image in some.pixels:
                self._hash.update(image.tobytes())
            for condition in self.conditions:
                go_on(stop)
                progress(READING * self.seen / self.total, f"reading images, {self.seen:,} of {self.total:,}")
                given = [
                    degrade(image, condition, config.intensity, config.seed + seed)
                    for image, seed in zip(some.pixels, some.seeds, strict=True)
                ]
                captured = capture(model, model.prepare(given, config.question), stages=wanted)
                self.take(some, given, finite(captured, model.card), condition, first)
                self.seen += len(some.pixels)
            first += len(some.pixels)
        if not first:
            reason = self.subject.skipped[0].reason
            raise Refusal(f"None of the {self.subject.count:,} images can be read; the first: {reason}")

    def take(
        self, some: Some, given: Sequence[np.ndarray], captured: Captured, condition: str, first: int
    ) -> None:
        """A sample of what a pass over `given` shows, which is `some` in a condition; first: of its images.

        Raises Refusal where it is not known where a chosen stage's tokens stand.
        """
        chosen = {stage.name for stage in self.stages}
        numbers = [
            self._show(image, name, condition, label)
            for image, name, label in zip(given, some.names, some.image_labels, strict=True)
        ]
        for stage, states, grid in zip(captured.stages, captured.states, captured.grids, strict=True):
            if stage.name not in chosen:
                continue
            if grid is None:
                raise Refusal(
                    f"It is not known where the tokens of {stage.name} stand on the image: "
                    "leave that stage out."
                )
            labels = some.labels(grid.boxes, self.config.purity)
            for k in range(len(given)):
                known = None if labels is None else (labels[0][k], labels[1][k])
                self.samples[stage.name, condition].add(
                    first + k, states=states[k], about=_about(grid, numbers[k], known)
                )

    def _show(self, image: np.ndarray, name: str, condition: str, label: str | None) -> int:
        height, width = image.shape[:2]
        self.shown.append(
            {
                "image": name,
                "condition": in_words(condition, self.config.intensity),
                "image_width": width,
                "image_height": height,
            }
        )
        self.labels.append(label)
        return self.sheet.add(image)

    def states(self, stage: Stage) -> np.ndarray:
        """The kept tokens of a stage in all conditions, float32 (n, width)."""
        kept = [self.samples[stage.name, condition].columns["states"] for condition in self.conditions]
        found = np.concatenate(kept).astype(np.float32)
        if self.config.unit:
            lengths = np.linalg.norm(found, axis=1, keepdims=True)
            found = np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 0)
        return found

    def of(self, stage: Stage) -> int:
        """How many tokens the stage showed."""
        return sum(self.samples[stage.name, condition].seen for condition in self.conditions)

    def rows(self, stage: Stage) -> Any:
        """What is known of these tokens, as a table."""
        import pandas as pd

        kept = [self.samples[stage.name, condition].columns["about"] for condition in self.conditions]
        about = np.concatenate(kept)
        number = about[:, 0].astype(np.int64)
        names, classes = self.subject.classes, about[:, 3].astype(np.int64)
        return pd.DataFrame(
            {
                "stage": stage.name,
                "image": [self.shown[k]["image"] for k in number],
                "condition": [self.shown[k]["condition"] for k in number],
                "row": about[:, 1].astype(np.int64) + 1,
                "col": about[:, 2].astype(np.int64) + 1,
                "label": pd.Series([self.labels[k] for k in number], dtype=object),
                "class": pd.Series([names[k] if k != UNKNOWN else None for k in classes], dtype=object),
                "object": about[:, 4].astype(np.int64),
                "picture": number,
                **{name: about[:, 5 + k] for k, name in enumerate(("x0", "y0", "x1", "y1"))},
            }
        )

    def saw(self) -> Mapping[str, str | Picture]:
        """What went in: the picture, or the sha256 of the collection's."""
        if self.picture is not None:
            return {"picture": self.picture}
        return {"collection": self._hash.hexdigest()}


def in_words(condition: str, intensity: float) -> str:
    """A condition as it is shown: "clean", "darkness 0.90"."""
    from workbench.images.corruptions import CORRUPTIONS

    return "clean" if condition == CLEAN else f"{CORRUPTIONS[condition].within} {intensity:.2f}"


def _about(grid: Grid, number: int, known: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
    """Picture, row, column, class, object and box of an image's tokens: float64 (tokens, 9)."""
    tokens = grid.rows * grid.cols
    row, col = np.divmod(np.arange(tokens), grid.cols)
    classes, objects = known or (np.full(tokens, UNKNOWN), np.full(tokens, UNKNOWN))
    return np.column_stack([np.full(tokens, number), row, col, classes, objects, grid.boxes])
