"""What the tokens of an atlas are of: the picture at hand, or images of a collection's test split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.datasets import open_collection
from workbench.datasets.batches import Batch, batches, squared
from workbench.datasets.collection import UNKNOWN, Collection, Sample, Skipped
from workbench.errors import Refusal
from workbench.images.scenes import CLASSES
from workbench.panels.specimen import SCENE, truth

if TYPE_CHECKING:
    from workbench.images.read import Picture
    from workbench.panels.atlas.config import AtlasConfig

AT_ONCE = 64
"""Images that are read before those of one size go together."""


@dataclass(frozen=True)
class Some:
    """Pictures of one size, with what is known of them.

    pixels: uint8 (H, W, 3) each. names: to be shown. seeds: added to the study's for a corruption's noise.
    image_labels: what each image is as a whole, by the collection's first kind of label, None where unknown.
    """

    pixels: list[np.ndarray]
    names: list[str]
    seeds: list[int]
    image_labels: list[str | None]
    known: Batch | None
    objects: bool
    """Whether what is known numbers single objects, as of drawn scenes."""

    def labels(self, boxes: np.ndarray, purity: float) -> tuple[np.ndarray, np.ndarray] | None:
        """The class and the object of each patch, int64 (N, T), -1 where unknown; None where nothing is.

        An object's number is 0 on a background.
        """
        classes = None if self.known is None else self.known.patch_classes(boxes, purity)
        if self.known is None or classes is None:
            return None
        regions = self.known.patch_regions(boxes, purity) if self.objects else None
        if regions is None:
            return classes, np.full_like(classes, UNKNOWN)
        # Regions of a scene are its backgrounds by their classes, and its objects after all classes.
        return classes, np.where(regions < 0, UNKNOWN, np.maximum(regions - len(CLASSES), 0))


@dataclass
class Subject:
    """The pictures of a study; ``skipped`` grows while they are read."""

    config: AtlasConfig
    picture: Picture | None
    skipped: list[Skipped] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.data: Collection | None = None if self.picture else open_collection(self.config.data)
        self.count = 1 if self.data is None else min(self.config.images, self.data.count("test"))
        if not self.count:
            raise Refusal(f"{self.config.data} has no images to show.")

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes by their numbers."""
        return CLASSES if self.data is None else self.data.classes

    def pictures(self) -> Iterator[Some]:
        """All of them, in batches of one size."""
        if self.data is None:
            yield self._one()
            return
        for start in range(0, self.count, AT_ONCE):
            for batch in batches(self._read(start), self.config.batch, len(self.classes)):
                names, seeds = zip(*((each.name, each.seed) for each in batch.samples), strict=True)
                pixels = [each.pixels for each in batch.samples]
                labels = self._labels(batch)
                yield Some(pixels, list(names), list(seeds), labels, batch, self.data.spec == "scenes")

    def _labels(self, batch: Batch) -> list[str | None]:
        assert self.data is not None
        if not self.data.defaults:
            return [None] * len(batch)
        target = self.data.defaults[0]
        values = self.data.targets[target]
        return [values[k] if k != UNKNOWN else None for k in batch.labels(target)]

    def _read(self, start: int) -> Iterator[Sample]:
        assert self.data is not None
        side = self.config.square
        for each in self.data.read("test", start, min(start + AT_ONCE, self.count)):
            if isinstance(each, Skipped):
                self.skipped.append(each)
            else:
                yield squared(each, side) if side else each

    def _one(self) -> Some:
        assert self.picture is not None
        source, pixels = self.config.image, self.picture.pixels
        name = source if source.startswith(SCENE) else Path(source).name
        return Some([pixels], [name], [0], [None], truth(source, pixels), True)
