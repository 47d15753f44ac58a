"""The bundled probe set: drawn scenes with the labels that linear readers are asked for.

Its scenes begin at a seed far above those that a model was trained on, so no reader is fitted on a picture
that the model has seen. The split "test" also shows digits and colour-shape pairs that occur nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from workbench.datasets.collection import Asked, Sample, Skipped, Split
from workbench.images.scene_language import questions
from workbench.images.scenes import CLASSES, COLOURS, MOST_OBJECTS, SHAPES, TEXTURES, Scenes, generate

FIRST_SEED = 2**30
SCENES = 2**20
"""Scenes of each split: more than anybody asks for."""
AT_ONCE = 64
"""Scenes that are drawn together."""
TARGETS: dict[str, tuple[str, ...]] = {
    "shape": SHAPES,
    "colour": COLOURS,
    "texture": TEXTURES,
    "count": tuple(str(k + 1) for k in range(MOST_OBJECTS)),
}
"""Global labels and their values: shape, colour and texture of the nearest object; the number of objects."""


class DrawnScenes:
    """The bundled probe set; `workbench.datasets.collection.Collection`."""

    spec = "scenes"
    title = "bundled scenes"
    targets: Mapping[str, tuple[str, ...]] = TARGETS
    defaults: tuple[str, ...] = ("shape", "colour")
    classes: tuple[str, ...] = CLASSES
    fingerprint = f"{FIRST_SEED:016x}"
    notes: tuple[str, ...] = ()
    divided: tuple[str, ...] = ()

    def count(self, split: Split) -> int:
        """How many scenes a split has."""
        return SCENES

    def read(self, split: Split, start: int, stop: int) -> Iterator[Sample | Skipped]:
        """The scenes `start` to `stop` of a split, always the same ones."""
        for first in range(start, min(stop, SCENES), AT_ONCE):
            scenes = generate(FIRST_SEED + np.arange(first, min(first + AT_ONCE, stop, SCENES)), split)
            for i in range(len(scenes)):
                yield labelled(scenes, i)


def labelled(scenes: Scenes, i: int) -> Sample:
    """Scene i with everything that is known of it."""
    objects, seed = scenes.objects, int(scenes.seeds[i])
    nearest = int(np.where(objects.present[i], objects.depth[i], np.inf).argmin())
    labels = {
        "shape": int(objects.shape[i, nearest]),
        "colour": int(objects.colour[i, nearest]),
        "texture": int(objects.texture[i, nearest]),
        "count": int(objects.present[i].sum()) - 1,
    }
    # Objects may share a class, and the background is of several: a region is one object or one background.
    instance = scenes.instance[i]
    regions = np.where(instance > 0, instance + np.uint8(len(CLASSES)), scenes.classes[i]).astype(np.uint8)
    asked = tuple(
        Asked(q.text, q.answer, q.candidates, q.kind)
        for q in questions(scenes, i, np.random.default_rng(seed))
    )
    return Sample(
        name=f"scene {seed} ({scenes.split})",
        pixels=scenes.images[i],
        seed=seed,
        labels=labels,
        classes=scenes.classes[i],
        regions=regions,
        depth=scenes.depth[i].astype(np.float32),
        asked=asked,
    )
