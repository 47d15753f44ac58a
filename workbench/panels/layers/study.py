"""Layers: what is still there of an image at every stage, for one picture or for the bundled probe set."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.errors import Refusal
from workbench.models.protocol import Capability, Model, never
from workbench.panels.layers.config import LayersConfig, Progress, quiet
from workbench.panels.needs import missing
from workbench.panels.question import short_enough
from workbench.panels.specimen import find, known

if TYPE_CHECKING:
    from workbench.images.read import Picture
    from workbench.models.protocol import ModelCard
    from workbench.panels.layers.table import Measured
    from workbench.runs.result import Result

STUDY = "layers"
NEEDS = frozenset({Capability.HIDDEN_STATES})


def prepared(config: LayersConfig, picture: Picture | None = None) -> Picture | None:
    """The picture of a study, None for the probe set; what needs no model is refused here. Raises Refusal."""
    short_enough(config.question)
    known(config.corruption)
    return find(config.image).picture if picture is None and config.image else picture


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
    difference, n and what n counts; the probe set adds the table "classes", the IoU of each class by stage.

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
    if reason := missing(model.card, NEEDS):
        raise Refusal(reason)
    from workbench.panels.layers import picture as one
    from workbench.panels.layers import probe_set

    started = time.time()
    picture = prepared(config, picture)
    if picture is not None:
        found = one.measure(config, model, picture, progress, stop)
    else:
        found = probe_set.measure(config, model, progress, stop)
    return result_of(config, found, model.card, started)


def result_of(
    config: LayersConfig, found: Measured, model: ModelCard | Mapping[str, Any], started: float
) -> Result:
    """What was measured of a model, given by its card or by what an earlier manifest says of it."""
    import pandas as pd

    from workbench.runs.manifest import manifest
    from workbench.runs.result import Result

    values = config.model_dump(mode="json")
    return Result(
        study=STUDY,
        config=values,
        manifest=manifest(model, values, config.seed, found.saw, started),
        tables={name: pd.DataFrame(rows) for name, rows in found.tables.items()},
        arrays=found.arrays,
        images=found.images,
    )
