"""What the tokens of an atlas are of: the picture at hand, or scenes of the bundled probe set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.datasets.scenes import Batch, stream
from workbench.images.scenes import CLASSES
from workbench.panels.layers.picture import truth_of
from workbench.panels.specimen import SCENE

if TYPE_CHECKING:
    from workbench.images.read import Picture
    from workbench.panels.atlas.config import AtlasConfig

UNKNOWN = -1
Labels = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Some:
    """Pictures of one size, with what is known of them.

    pixels: uint8 (H, W, 3) each. names: to be shown. seeds: added to the study's for a corruption's noise.
    label: from boxes (T, 4) to the class of each patch and the number of its object, both int64 (N, T),
        -1 where unknown; an object's number is 0 on a background. None where nothing is known.
    """

    pixels: list[np.ndarray]
    names: list[str]
    seeds: list[int]
    label: Callable[[np.ndarray], Labels] | None


def pictures(config: AtlasConfig, picture: Picture | None) -> Iterator[Some]:
    """The pictures of a study, batch by batch. Classes are numbered as in ``class_names``."""
    if picture is None:
        for batch in stream("test", config.images, batch=config.batch):
            seeds = [int(seed) for seed in batch.seeds]
            names = [f"{SCENE}{seed}" for seed in seeds]
            yield Some(list(batch.images), names, seeds, _labels(batch, config.purity))
        return
    truth = truth_of(config.image, picture.pixels)
    label = None if truth is None else _labels(truth, config.purity)
    name = config.image if config.image.startswith(SCENE) else Path(config.image).name
    yield Some([picture.pixels], [name], [0], label)


def class_names() -> tuple[str, ...]:
    """The classes by their numbers."""
    return CLASSES


def how_many(config: AtlasConfig) -> int:
    """Pictures that ``pictures`` yields in all."""
    return 1 if config.image else config.images


def _labels(batch: Batch, purity: float) -> Callable[[np.ndarray], Labels]:
    def label(boxes: np.ndarray) -> Labels:
        regions = batch.patch_regions(boxes, purity)
        # Regions are objects after the classes' numbers, and backgrounds by their own.
        objects = np.where(regions < 0, UNKNOWN, np.maximum(regions - len(CLASSES), 0))
        return batch.patch_classes(boxes, purity), objects

    return label
