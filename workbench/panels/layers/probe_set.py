"""Everything that is measured over a collection along the stages: a pass over each split, then the fits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from workbench.datasets import open_collection
from workbench.datasets.batches import Batch, batches, squared
from workbench.datasets.collection import SPLITS, Collection, Sample, Skipped, Split
from workbench.errors import Refusal
from workbench.models.protocol import Model
from workbench.panels.layers.parts.averages import (
    Kept,
    PatchStructure,
    PatchSurroundings,
    TokenGeometry,
)
from workbench.panels.layers.parts.cloud import Cloud
from workbench.panels.layers.parts.content import PatchContent
from workbench.panels.layers.parts.likeness import Likeness
from workbench.panels.layers.parts.memory import check_memory
from workbench.panels.layers.parts.part import Arrays, Axis, Part, Seen, Subject
from workbench.panels.layers.parts.pooled import Pooled, targets_of
from workbench.panels.layers.parts.segmentation import PatchClasses
from workbench.panels.layers.parts.streamed import Streamed
from workbench.panels.layers.parts.words import LensWords
from workbench.panels.layers.seeing import see
from workbench.panels.layers.table import Measured, Row, go_on
from workbench.panels.restoring import restored
from workbench.panels.specimen import degrade
from workbench.runs.store import Store
from workbench.runs.unfinished import Unfinished

if TYPE_CHECKING:
    from workbench.panels.layers.config import LayersConfig, Progress

PARTS: dict[str, tuple[type[Part], ...]] = {
    "linear reader": (Pooled,),
    "neighbours": (Pooled,),
    "ridge reader": (Streamed,),
    "segmentation": (PatchClasses,),
    "content": (PatchContent,),
    "structure": (PatchStructure, PatchSurroundings),
    "geometry": (TokenGeometry, Cloud),
    "likeness": (Kept, Likeness),
    "lens": (LensWords,),
}
"""What takes each kind of measure."""
NEEDS_MASKS = (PatchClasses, PatchStructure)
NEEDS_LABELS = (Pooled, Streamed)
READING, FITTING = 0.8, 0.2
"""Shares of the bar: passes through the model, then fits."""
CHUNK = 8
"""Batches that are read ahead, so that images of one size find each other."""
FEW = 32
"""Skipped images beyond those that could be used, from which on it is not worth going on."""


def measure(config: LayersConfig, model: Model, progress: Progress, stop: Callable[[], bool]) -> Measured:
    """A pass over each split that a measure needs, then the fits; see `study.run`.

    Memory holds tokens of one batch only, for each stage the sums of its readers, a square of its width in
    float64 for each, and of every image what `Part.bytes_of` says. What would not fit is refused after the
    first batch.
    What is gathered is put down once a minute, and taken up again where an earlier run of the same study of
    the same model was killed.
    """
    return _Passes(config, model, progress, stop).measured()


class _Passes:
    def __init__(
        self, config: LayersConfig, model: Model, progress: Progress, stop: Callable[[], bool]
    ) -> None:
        self.config, self.model, self.progress, self.stop = config, model, progress, stop
        progress(0.0, "looking through the data")
        self.data: Collection = open_collection(config.data)
        self.kinds = _kinds(config, self.data)
        self.splits = tuple(split for split in SPLITS if any(split in kind.splits for kind in self.kinds))
        asked = dict(zip(SPLITS, (config.n_train, config.n_validation, config.n_test), strict=True))
        self.counts = {split: min(asked[split], self.data.count(split)) for split in self.splits}
        self._check()
        key = Store.key("layers", config.model_dump(mode="json"), model.card, {"data": self.data.fingerprint})
        self.unfinished = Unfinished(key)
        self.digest = self.data.fingerprint
        self.skipped: list[Skipped] = []
        self.used = dict.fromkeys(self.splits, 0)
        self.parts: list[Part] = []
        self.axis: Axis | None = None

    def measured(self) -> Measured:
        self._gather()
        self._check_used()
        assert self.axis is not None
        curves: list[Row] = []
        tables: dict[str, list[Row]] = {}
        arrays: Arrays = {}
        for k, part in enumerate(self.parts):

            def say(done: float, text: str, k: int = k) -> None:
                go_on(self.stop)
                self.progress(READING + FITTING * (k + done) / len(self.parts), text)

            say(0.0, "computing intervals")
            curves += part.curves(say, self.stop)
            tables |= part.tables()
            arrays |= part.arrays()
        if not curves:
            raise Refusal(" ".join(self._said()) or f"{self.data.title} has nothing that could be measured.")
        self.unfinished.done()
        return Measured(
            tables={"curves": curves, "stages": self.axis.rows(), **tables, **self._about()},
            saw={"data": self.digest},
            arrays=arrays,
        )

    def _gather(self) -> None:
        """The passes, from where an earlier run was ended."""
        split_at, place, done = self._resumed()
        chunk = CHUNK * self.config.batch
        for number, split in enumerate(self.splits):
            if number < split_at:
                continue
            for start in range(place if number == split_at else 0, self.counts[split], chunk):
                stop = min(start + chunk, self.counts[split])
                for k, batch in enumerate(self._batches(split, start, stop, noted=done > 0)):
                    if k < done:
                        continue
                    self._see(split, batch)
                    if self.unfinished.due:
                        self._put_down(number, start, k + 1)
                done = 0
            for part in self._needing(split):
                part.end(split)

    def _needing(self, split: Split) -> list[Part]:
        return [part for part in self.parts if split in part.splits]

    def _batches(self, split: Split, start: int, stop: int, *, noted: bool) -> list[Batch]:
        """Some images of a split, by size; those that cannot be used are set aside.

        `noted`: an earlier run has read the same ones, and what is to be said of them is known.
        """
        samples: list[Sample] = []
        for place, each in enumerate(self.data.read(split, start, stop), start):
            go_on(self.stop)
            if isinstance(each, Skipped):
                if not noted:
                    self._skip(each)
                continue
            if not noted:
                about = f"{self.digest}\0{each.name}\0{each.pixels.shape}\0".encode()
                self.digest = hashlib.sha256(about + each.pixels.tobytes()).hexdigest()
            each = replace(each, place=place)
            samples.append(squared(each, self.config.square) if self.config.square else each)
        return batches(samples, self.config.batch, len(self.data.classes))

    def _see(self, split: Split, batch: Batch) -> None:
        """One pass through the model, gathered by every part."""
        config, done, total = self.config, sum(self.used.values()), sum(self.counts.values())
        go_on(self.stop)
        self.progress(READING * done / total, f"reading images, {done:,} of {total:,}")
        shown = [
            degrade(sample.pixels, config.corruption, config.intensity, config.seed + sample.seed)
            for sample in batch.samples
        ]
        if config.restored:
            self.progress(READING * done / total, f"restoring images, {done:,} of {total:,}")
            shown = [
                restored(self.model, pixels, config.question, config.seed + sample.seed, self.stop)
                for pixels, sample in zip(shown, batch.samples, strict=True)
            ]
        try:
            captured = see(self.model, shown, config.question)
        except Refusal as refusal:  # Numbers that are not finite: of one image, or of each.
            if len(batch) == 1:
                self._skip(Skipped(batch.samples[0].name, str(refusal)))
            for sample in batch.samples if len(batch) > 1 else ():
                self._see(split, Batch((sample,), batch.classes))
            return
        if self.axis is None:
            self._begin(Axis.of(captured))
        seen = Seen(batch, captured, config.purity)
        for part in self._needing(split):
            part.take(split, seen)
        self.used[split] += len(batch)

    def _skip(self, image: Skipped) -> None:
        """Set an image aside. Raises Refusal once they are too many for the rest to stand for anything."""
        self.skipped.append(image)
        if len(self.skipped) > FEW + sum(self.used.values()):
            self._give_up()

    def _check_used(self) -> None:
        """Refuse numbers of a collection of which most could not be used."""
        if self.axis is None or len(self.skipped) > sum(self.used.values()):
            self._give_up()
        if short := [split for split in self.splits if self.used[split] < 2]:
            raise Refusal(
                f"Of the {short[0]} split of {self.data.title} {self.used[short[0]]} images could be used: "
                "that is too few. Ask for more images, or mend those that were skipped."
            )

    def _give_up(self) -> NoReturn:
        first = self.skipped[0]
        raise Refusal(
            f"Of {self.data.title} {len(self.skipped):,} images could not be used, and "
            f"{sum(self.used.values()):,} could; the first, {first.name}: {first.reason}"
        )

    def _said(self) -> list[str]:
        return [note for part in self.parts for note in part.notes]

    def _begin(self, axis: Axis, held: int = 0) -> None:
        """Make the parts. Raises Refusal where memory will not hold what they keep; `held`: bytes it does."""
        self.axis = axis
        subject = Subject(self.config, self.data, axis, self.model)
        self.parts = [kind(subject) for kind in self.kinds]
        check_memory({part: self._measures(part) for part in self.parts}, self.counts, len(axis), held=held)

    def _measures(self, part: Part) -> str:
        """The measures that are asked for and that a part takes, in words."""
        return " and ".join(f"“{name}”" for name in self.config.measures if type(part) in PARTS[name])

    def _put_down(self, split: int, place: int, batches: int) -> None:
        """Keep what is gathered: all before `place`, and so many batches of the images from there on."""
        if self.axis is None:
            return
        arrays = {
            f"{k}/{name}": values for k, part in enumerate(self.parts) for name, values in part.held().items()
        }
        about = {
            "split": split,
            "place": place,
            "batches": batches,
            "used": self.used,
            "skipped": [[each.name, each.reason] for each in self.skipped],
            "axis": self.axis.rows(),
            "digest": self.digest,
        }
        self.unfinished.keep(about, arrays)

    def _resumed(self) -> tuple[int, int, int]:
        """Where to go on: number of the split, place in it, and how many batches from there are done."""
        found = self.unfinished.found()
        if found is None:
            return 0, 0, 0
        about, arrays = found
        self._begin(Axis.from_rows(about["axis"]), sum(values.nbytes for values in arrays.values()))
        for k, part in enumerate(self.parts):
            mine = f"{k}/"
            part.restore({name.removeprefix(mine): v for name, v in arrays.items() if name.startswith(mine)})
            for split in self.splits[: about["split"]]:
                if split in part.splits:
                    part.end(split)
        self.used |= about["used"]
        self.skipped = [Skipped(*each) for each in about["skipped"]]
        self.digest = about["digest"]
        return int(about["split"]), int(about["place"]), int(about["batches"])

    def _about(self) -> dict[str, list[Row]]:
        """What the numbers rest on, and what was left out."""
        rows: list[dict[str, Any]] = [
            {"what": "collection", "value": self.data.title},
            {"what": "fingerprint", "value": self.data.fingerprint},
            *({"what": f"images, {split}", "value": f"{self.used[split]:,}"} for split in self.splits),
            {"what": "skipped", "value": f"{len(self.skipped):,}"},
            *({"what": "note", "value": note} for note in (*self.data.notes, *self._said())),
        ]
        listed = [{"name": each.name, "reason": each.reason} for each in self.skipped]
        return {"data": rows, "skipped": listed} if listed else {"data": rows}

    def _check(self) -> None:
        """Refuse before a pass what cannot be measured of this collection."""
        config, data = self.config, self.data
        if short := [split for split in self.splits if self.counts[split] < 2]:
            raise Refusal(
                f"{data.title} has too few images in its split {short[0]} ({self.counts[short[0]]}). A "
                "collection needs a few dozen in all."
            )
        targets_of(config.targets, data)
        if not self.kinds:
            raise Refusal(
                f"{data.title} has neither the labels nor the masks that {', '.join(config.measures)} "
                "would be measured against. Ask for structure, geometry, content or likeness."
            )


def _kinds(config: LayersConfig, data: Collection) -> list[type[Part]]:
    """The parts that measure what is asked for, as far as the collection has what they need."""
    wanted = dict.fromkeys(part for name in config.measures for part in PARTS[name])
    known = [part for part in wanted if data.classes or part not in NEEDS_MASKS]
    return [part for part in known if data.targets or part not in NEEDS_LABELS]
