"""What a person chooses about a layers study."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from workbench.datasets import SCENES
from workbench.images.corruptions import CORRUPTIONS
from workbench.panels.specimen import CLEAN

Measure = Literal[
    "linear reader", "neighbours", "segmentation", "content", "structure", "geometry", "likeness", "lens"
]
"""Kinds of measures over a collection; PARTS in `probe_set.py` says which file takes each."""
MEASURES: tuple[Measure, ...] = get_args(Measure)
QUICK: tuple[Measure, ...] = MEASURES[:-1]
"""All but the lens, which multiplies every token with the whole vocabulary."""
LEAST_SIDE = 8
"""Pixels that an image needs each way."""
Progress = Callable[[float, str], None]


def quiet(fraction: float, text: str) -> None:
    """Progress that nobody watches."""


class LayersConfig(BaseModel):
    """Everything that decides the result, but for the model and the pixels.

    With an `image` the study measures the patch structure of that one picture; without, it asks readers about
    a collection. They are fitted and scored in the same condition: the question is what is still in the
    states of a degraded image, not whether a reader of clean ones copes with them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = Field(default="", description='a file, or "scene:SEED"; without it, a collection')
    data: str = Field(
        default=SCENES,
        description="collection: scenes (bundled), a folder of images with or without masks, a .parquet, a "
        "VLMEvalKit .tsv, or a data set's hub id",
    )
    square: int = Field(
        default=0,
        ge=0,
        le=2048,
        description="collection: cut each image to its middle square, of so many pixels; 0: as they are",
    )
    measures: tuple[Measure, ...] = Field(
        default=QUICK, min_length=1, description="collection: what is measured"
    )
    question: str = Field(default="", description="text that follows the image in the model's input")
    corruption: str = Field(default=CLEAN, description="none, or one of " + ", ".join(CORRUPTIONS))
    intensity: float = Field(default=0.45, ge=0.0, le=1.0, description="how strong the corruption is, 0 to 1")
    restored: bool = Field(
        default=False,
        description="show the model what it draws of the image itself, where it draws while it answers",
    )
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="of the corruption, the controls and the intervals"
    )
    purity: float = Field(
        default=0.6, gt=0.0, le=1.0, description="share of a patch that its label must cover"
    )
    centre: bool = Field(default=False, description="subtract an image's mean token before taking cosines")
    permutations: int = Field(
        default=100, ge=20, le=10_000, description="permuted labels behind a single image's grey band"
    )
    targets: tuple[str, ...] = Field(
        default=(), description="collection: labels of a whole image to read; its first ones if none is named"
    )

    n_train: int = Field(
        default=800, ge=20, le=2_000_000, description="collection: images the readers are fitted on"
    )
    n_validation: int = Field(
        default=200, ge=10, le=2_000_000, description="collection: images that choose the penalty"
    )
    n_test: int = Field(
        default=400, ge=10, le=2_000_000, description="collection: images the readers are scored on"
    )
    batch: int = Field(default=16, ge=1, le=1024, description="images in one pass")
    resamples: int = Field(
        default=1000, ge=100, le=100_000, description="bootstrap resamples behind an interval"
    )

    @field_validator("square")
    @classmethod
    def _large_enough(cls, value: int) -> int:
        if 0 < value < LEAST_SIDE:
            raise ValueError(f"a square needs at least {LEAST_SIDE} pixels; 0 leaves images as they are")
        return value
