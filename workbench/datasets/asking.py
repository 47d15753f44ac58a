"""Which questions about an image are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from workbench.datasets.batches import squared
from workbench.datasets.collection import Asked, Collection, Sample, Skipped, Split

ALL_SPLITS: tuple[Split, ...] = ("test", "validation", "train")
"""Where nothing is fitted all images are there to be asked about; those of the test split come first."""


def some_of(
    sample: Sample, count: int, seed: int, fit: Callable[[Asked], bool] = lambda asked: True
) -> list[Asked]:
    """Up to `count` of an image's questions that fit, drawn with the seed and the image's own."""
    options = [asked for asked in sample.asked if fit(asked)]
    rng = np.random.default_rng((seed, sample.seed))
    return [options[k] for k in rng.permutation(len(options))[:count]]


def closed(asked: Asked) -> bool:
    """Whether the answer is among the candidates of the question."""
    return asked.answer in asked.candidates


def count_of_all(data: Collection) -> int:
    """How many images there are in all splits."""
    return sum(data.count(split) for split in ALL_SPLITS)


def notes_of_all(data: Collection) -> list[str]:
    """What to know of a collection where all splits are taken alike: not how it was divided."""
    return [note for note in data.notes if note not in data.divided]


def read_some(
    data: Collection, splits: Sequence[Split], start: int, stop: int, side: int = 0
) -> Iterator[Sample | Skipped]:
    """The images `start` to `stop` of some splits in their order, cut to squares where `side` is given."""
    first = 0
    for split in splits:
        count = data.count(split)
        low, high = max(start - first, 0), min(stop - first, count)
        for sample in data.read(split, low, high) if low < high else ():
            yield sample if isinstance(sample, Skipped) or not side else squared(sample, side)
        first += count
