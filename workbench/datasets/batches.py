"""Samples in batches of one size, with the labels of patches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.labels import token_labels
from workbench.datasets.collection import UNKNOWN, Sample


@dataclass(frozen=True)
class Batch:
    """Samples of one size. classes: how many classes their collection has; a pixel of that number is none."""

    samples: tuple[Sample, ...]
    classes: int

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def images(self) -> NDArray[np.uint8]:
        """uint8 (N, H, W, 3)."""
        return np.stack([sample.pixels for sample in self.samples])

    @property
    def depth(self) -> NDArray[np.float32] | None:
        """float32 (N, H, W), None where it is not known."""
        found = [sample.depth for sample in self.samples if sample.depth is not None]
        return np.stack(found) if len(found) == len(self) else None

    def labels(self, target: str) -> NDArray[np.int64]:
        """int64 (N,), an index into the target's values, -1 where there is no label."""
        return np.array([sample.labels.get(target, UNKNOWN) for sample in self.samples], dtype=np.int64)

    def patch_classes(self, boxes: ArrayLike, purity: float) -> NDArray[np.int64] | None:
        """The class of each token (N, tokens), -1 where none covers `purity` of it; None without masks."""
        found = [sample.classes for sample in self.samples if sample.classes is not None]
        if len(found) < len(self):
            return None
        return token_labels(np.stack(found), boxes, purity=purity, ignore=[self.classes]).labels

    def patch_regions(self, boxes: ArrayLike, purity: float) -> NDArray[np.int64] | None:
        """The object or background of each token (N, tokens), likewise."""
        found = [sample.regions for sample in self.samples if sample.regions is not None]
        if len(found) < len(self):
            return None
        finer = any(sample.regions is not sample.classes for sample in self.samples)
        ignore = () if finer else (self.classes,)
        return token_labels(np.stack(found), boxes, purity=purity, ignore=ignore).labels


def batches(samples: Iterable[Sample], size: int, classes: int) -> list[Batch]:
    """Samples in batches of up to `size`, each of one width and height, so that a batch has one grid."""
    by_shape: dict[tuple[int, ...], list[Sample]] = {}
    for sample in samples:
        by_shape.setdefault(sample.pixels.shape, []).append(sample)
    return [
        Batch(tuple(alike[first : first + size]), classes)
        for alike in by_shape.values()
        for first in range(0, len(alike), size)
    ]


def squared(sample: Sample, side: int) -> Sample:
    """The sample's middle square at `side` pixels, its maps with it."""
    from workbench.images import fit

    maps = [m for m in (sample.classes, sample.regions, sample.depth) if m is not None]
    pixels, cut = fit.squared(sample.pixels, side, *maps)
    rest = iter(cut)
    classes, regions, depth = (
        None if m is None else next(rest) for m in (sample.classes, sample.regions, sample.depth)
    )
    if sample.regions is sample.classes:
        regions = classes
    return replace(sample, pixels=pixels, classes=classes, regions=regions, depth=depth)
