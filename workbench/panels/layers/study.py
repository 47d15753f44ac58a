"""Layers: what is still there of an image at every stage, for one picture or for the bundled probe set."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from workbench.errors import Refusal
from workbench.models.protocol import Capability, Model, never
from workbench.panels.states.study import CLEAN

if TYPE_CHECKING:
    from workbench.images.read import Picture
    from workbench.runs.result import Result

STUDY = "layers"
NEEDS = frozenset({Capability.HIDDEN_STATES})

Target = Literal["shape", "colour", "texture", "count"]
Progress = Callable[[float, str], None]


def quiet(fraction: float, text: str) -> None:
    """Progress that nobody watches."""


class LayersConfig(BaseModel):
    """Everything that decides the result, but for the model and the pixels.

    With an `image` the study measures the patch structure of that one picture; without, it asks linear
    readers about the bundled probe set. The readers are fitted and scored in the same condition: the question
    is what is still in the states of a degraded image, not whether a reader of clean ones copes with them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = Field(default="", description='a file, or "scene:SEED"; without it, the bundled probe set')
    question: str = Field(
        default="", max_length=400, description="text that follows the image in the model's input"
    )
    corruption: str = Field(default=CLEAN, description="a corruption's name, or none")
    intensity: float = Field(default=0.45, ge=0.0, le=1.0, description="how strong the corruption is, 0 to 1")
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
    targets: tuple[Target, ...] = Field(
        default=("shape", "colour"), min_length=1, description="global labels to read"
    )
    n_train: int = Field(
        default=800, ge=20, le=100_000, description="probe set: images the readers are fitted on"
    )
    n_validation: int = Field(
        default=200, ge=10, le=100_000, description="probe set: images that choose the penalty"
    )
    n_test: int = Field(
        default=400, ge=10, le=100_000, description="probe set: images the readers are scored on"
    )
    batch: int = Field(default=16, ge=1, le=1024, description="images in one pass")
    resamples: int = Field(
        default=1000, ge=100, le=100_000, description="bootstrap resamples behind an interval"
    )


def missing(model: Model) -> str:
    """Why this model cannot serve the study, in a sentence; empty where it can."""
    lacking = sorted(NEEDS - model.card.capabilities)
    return (
        f"{model.card.id} does not offer what this panel measures: {', '.join(lacking)}." if lacking else ""
    )


def run(
    config: LayersConfig,
    model: Model,
    *,
    picture: Picture | None = None,
    progress: Progress = quiet,
    stop: Callable[[], bool] = never,
) -> Result:
    """Measure one picture or the probe set; see `LayersConfig`.

    The result holds the table "curves": one row for each measure and stage, with value, 95 % interval (low,
    high), chance with its own interval, majority baseline, delta from "llm 0" with the interval of the paired
    difference, n and what n counts. One picture adds the arrays that `figure.similarity_image` draws from, so
    that a click needs no model; the probe set adds the table "classes", the IoU of each class by stage.

    Args:
        config: the settings.
        model: an open model with hidden states.
        picture: the picture, if it is at hand; otherwise `config.image` is read.
        progress: told a fraction 0..1 and what is being done.
        stop: asked between batches.

    Raises:
        Refusal: on bad input or a model that shows no hidden states.
        Cancelled: once `stop` says so.
    """
    if reason := missing(model):
        raise Refusal(reason)
    import pandas as pd

    from workbench.panels.layers import picture as one
    from workbench.panels.layers import probe_set
    from workbench.runs.manifest import manifest
    from workbench.runs.result import Result

    started = time.time()
    if config.image or picture is not None:
        found = one.measure(config, model, picture, progress, stop)
    else:
        found = probe_set.measure(config, model, progress, stop)
    values = config.model_dump(mode="json")
    return Result(
        study=STUDY,
        config=values,
        manifest=manifest(model.card, values, config.seed, found.hashes, started),
        tables={name: pd.DataFrame(rows) for name, rows in found.tables.items()},
        arrays=found.arrays,
        images=found.images,
    )
