"""What a person chooses about a layers study."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from pydantic import Field, field_validator

from workbench.panels.images import OfImages

Measure = Literal[
    "linear reader",
    "neighbours",
    "ridge reader",
    "segmentation",
    "content",
    "structure",
    "geometry",
    "likeness",
    "lens",
]
"""Kinds of measures over a collection; PARTS in `probe_set.py` says which file takes each."""
MEASURES: tuple[Measure, ...] = get_args(Measure)
QUICK: tuple[Measure, ...] = tuple(name for name in MEASURES if name not in ("ridge reader", "lens"))
"""All but the lens, which multiplies each token with the whole vocabulary, and the reader of what
is too much for the linear one."""
LEAST_SIDE = 8
"""Pixels that an image needs each way."""
Progress = Callable[[float, str], None]


def quiet(fraction: float, text: str) -> None:
    """Progress that nobody watches."""


class LayersConfig(OfImages):
    """Everything that decides the result, but for the model and the pixels.

    With an `image` the study measures the patch structure of that one picture; without, it asks readers about
    a collection. They are fitted and scored in the same condition: the question is what is still in the
    states of a degraded image, not whether a reader of clean ones copes with them.
    """

    measures: tuple[Measure, ...] = Field(
        default=QUICK, min_length=1, description="of a collection: what is measured"
    )
    restored: bool = Field(
        default=False,
        description="show the model what it draws of the image itself, where it draws while it answers",
    )
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="of the corruption, the controls and the intervals"
    )
    centre: bool = Field(default=False, description="subtract an image's mean token before taking cosines")
    permutations: int = Field(
        default=100, ge=20, le=10_000, description="permuted labels behind a single image's grey band"
    )
    targets: tuple[str, ...] = Field(
        default=(),
        description="of a collection: labels of a whole image to read; its first ones if none is named",
    )

    n_train: int = Field(
        default=800, ge=20, le=2_000_000, description="of a collection: images the readers are fitted on"
    )
    n_validation: int = Field(
        default=200, ge=10, le=2_000_000, description="of a collection: images that choose the penalty"
    )
    n_test: int = Field(
        default=400, ge=10, le=2_000_000, description="of a collection: images the readers are scored on"
    )
    resamples: int = Field(
        default=1000, ge=100, le=100_000, description="bootstrap resamples behind an interval"
    )

    @field_validator("square")
    @classmethod
    def _large_enough(cls, value: int) -> int:
        if 0 < value < LEAST_SIDE:
            raise ValueError(f"a square needs at least {LEAST_SIDE} pixels; 0 leaves images as they are")
        return value
