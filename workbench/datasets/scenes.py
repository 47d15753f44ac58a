"""The bundled probe set: drawn scenes with the labels that linear readers are asked for.

Its scenes begin at a seed far above those that a model was trained on, so no reader is fitted on a picture
that the model has seen. Readers are fitted on scenes of the split "train", their penalty is chosen on
"validation", and they are scored on "test", which also shows digits and colour-shape pairs that occur
nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.labels import token_labels
from workbench.errors import Refusal
from workbench.images.scenes import CLASSES, COLOURS, MOST_OBJECTS, SHAPES, TEXTURES, Scenes, Split, generate

FIRST_SEED = 2**30
TARGETS: dict[str, tuple[str, ...]] = {
    "shape": SHAPES,
    "colour": COLOURS,
    "texture": TEXTURES,
    "count": tuple(str(k + 1) for k in range(MOST_OBJECTS)),
}
"""Global labels and their values: shape, colour and texture of the nearest object; the number of objects."""


@dataclass(frozen=True)
class Batch:
    """Some scenes with their labels.

    images: uint8 (N, S, S, 3).
    targets: for each name in TARGETS int64 (N,), an index into its values.
    classes: uint8 (N, S, S), an index into CLASSES for each pixel.
    regions: uint8 (N, S, S), one number for each object and for each kind of background.
    seeds: int64 (N,).
    """

    images: NDArray[np.uint8]
    targets: dict[str, NDArray[np.int64]]
    classes: NDArray[np.uint8]
    regions: NDArray[np.uint8]
    seeds: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.images)

    def patch_classes(self, boxes: ArrayLike, purity: float) -> NDArray[np.int64]:
        """The class of each token (N, tokens), -1 where none covers `purity` of its box."""
        return token_labels(self.classes, boxes, purity=purity).labels

    def patch_regions(self, boxes: ArrayLike, purity: float) -> NDArray[np.int64]:
        """The object or background of each token (N, tokens), -1 where none covers `purity` of its box."""
        return token_labels(self.regions, boxes, purity=purity).labels


def label(scenes: Scenes) -> Batch:
    """The labels of drawn scenes."""
    objects = scenes.objects
    nearest = np.where(objects.present, objects.depth, np.inf).argmin(axis=1)
    row = np.arange(len(scenes))
    targets = {
        "shape": objects.shape[row, nearest].astype(np.int64),
        "colour": objects.colour[row, nearest].astype(np.int64),
        "texture": objects.texture[row, nearest].astype(np.int64),
        "count": objects.present.sum(axis=1).astype(np.int64) - 1,
    }
    # Objects may share a class, and the background is of several: a region is one object or one background.
    regions = np.where(scenes.instance > 0, scenes.instance + np.uint8(len(CLASSES)), scenes.classes)
    return Batch(scenes.images, targets, scenes.classes, regions.astype(np.uint8), scenes.seeds)


def stream(split: Split, count: int, *, batch: int = 32, size: int = 96) -> Iterator[Batch]:
    """The first `count` scenes of a split of the probe set, `batch` at a time, always the same ones.

    Raises Refusal for a count or batch under 1.
    """
    if count < 1 or batch < 1:
        raise Refusal(
            f"A probe set needs at least one image and batches of at least one, not {count} and {batch}."
        )
    for start in range(0, count, batch):
        seeds = FIRST_SEED + np.arange(start, min(start + batch, count))
        yield label(generate(seeds, split, size))
