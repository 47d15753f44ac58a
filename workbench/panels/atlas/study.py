"""Atlas: visual tokens on a plane. A pass for each batch keeps a sample; any method lays it out later."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.principal import principal
from probes.projection import FEWEST, FIRST, available
from workbench.errors import Refusal, go_on
from workbench.models.protocol import Capability, Model, never
from workbench.panels.atlas.config import AtlasConfig
from workbench.panels.atlas.reading import READING, Reading
from workbench.panels.atlas.ways import JOINT, laid, projected
from workbench.panels.needs import missing
from workbench.panels.question import short_enough
from workbench.panels.specimen import CLEAN, find, known

if TYPE_CHECKING:
    from workbench.images.read import Picture
    from workbench.models.protocol import ModelCard
    from workbench.runs.result import Result

STUDY = "atlas"
NEEDS = frozenset({Capability.HIDDEN_STATES})


def prepared(config: AtlasConfig, picture: Picture | None = None) -> Picture | None:
    """The picture of a study, None for a collection; what needs no model is refused here. Raises Refusal."""
    short_enough(config.question)
    known(config.corruption)
    if config.with_clean and config.corruption == CLEAN:
        raise Refusal("--with-clean has nothing to act on: name a corruption with --corruption too.")
    if config.method not in available():
        raise Refusal(
            f"{config.method} is not installed: pip install {config.method}, or choose one of "
            f"{', '.join(available())}."
        )
    return find(config.image).picture if picture is None and config.image else picture


def run(
    config: AtlasConfig,
    model: Model,
    *,
    picture: Picture | None = None,
    progress: Callable[[float, str], None] = lambda fraction, text: None,
    stop: Callable[[], bool] = never,
) -> Result:
    """Capture a sample of tokens and lay them on a plane; see `AtlasConfig` and `Way`.

    The result's tables: "points", one row for each token and stage: plane, stage, image, condition, row and
    col from 1, label of the image, class and object where known (missing text, -1), its picture's number and
    box x0 … y1 in pixels of the image, and its place, ``pca_x``, ``pca_y`` and, of another method, the same
    by its name;
    "planes": tokens kept, ``of`` how many, width, the share of the variance that the kept components hold;
    "axes": the share of each; "pictures": where each lies on the image "sheet"; "stages": all of the model.
    The arrays ``features_NNN`` (by the stage's index) and, where several stages have one width,
    ``features_joint``, float32 (tokens, up to 50), are principal components: all that other methods start
    from, so that they need no model.

    Args:
        config: the settings.
        model: an open model with hidden states.
        picture: the picture, if it is at hand; otherwise `config.image` is read.
        progress: told a fraction 0..1 and what is being done.
        stop: asked between passes.

    Raises:
        Refusal: on bad input, a stage that the model has not, states that cannot be laid out.
        Cancelled: once `stop` says so.
    """
    if reason := missing(model.card, NEEDS):
        raise Refusal(reason)
    started = time.time()
    reading = Reading(config, model.stages(), prepared(config, picture))
    reading.read(model, progress, stop)
    return result_of(reading, model.card, started, progress, stop)


def result_of(
    reading: Reading,
    model: ModelCard | Mapping[str, Any],
    started: float,
    progress: Callable[[float, str], None],
    stop: Callable[[], bool],
) -> Result:
    """What was read as a result of this study.

    model: the card of the model, or what an earlier manifest says of it. Raises as `run` does.
    """
    import pandas as pd

    from workbench.runs.manifest import manifest
    from workbench.runs.result import Result

    config = reading.config
    planes, axes, arrays = _components(config, reading, progress, stop)
    progress(0.9, "laying out")
    go_on(stop)
    sheet, places = reading.sheet.drawn()
    shown = pd.DataFrame(reading.shown)
    shown[["left", "top", "width", "height"]] = places
    values: dict[str, Any] = config.model_dump(mode="json")
    result = Result(
        study=STUDY,
        config=values,
        manifest=manifest(model, values, config.seed, reading.saw(), started),
        tables={
            "points": pd.concat([reading.rows(stage) for stage in reading.stages], ignore_index=True),
            "planes": pd.DataFrame(planes),
            "axes": pd.DataFrame(axes),
            "pictures": shown,
            "stages": pd.DataFrame({"stage": [stage.name for stage in reading.every]}),
        },
        arrays=arrays,
        images={"sheet": sheet},
    )
    if (data := reading.subject.data) is not None:
        result.manifest["collection"] = {"title": data.title, "notes": list(data.notes)}
    result.manifest["skipped"] = [vars(each) for each in reading.subject.skipped]
    laid_out = laid(result, config, projected(result, config))
    laid_out.manifest["seconds"] = round(time.time() - started, 3)
    progress(1.0, "done")
    return laid_out


def _components(
    config: AtlasConfig, reading: Reading, progress: Callable[[float, str], None], stop: Callable[[], bool]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, np.ndarray]]:
    """Principal components of each stage and, where their widths are one, of all: tables and arrays."""
    states = {stage: reading.states(stage) for stage in reading.stages}
    sets = [
        ("each", stage.name, f"features_{stage.index:03d}", states[stage], reading.of(stage))
        for stage in reading.stages
    ]
    if len({kept.shape[1] for kept in states.values()}) == 1 and len(states) > 1:
        every = np.concatenate(list(states.values()))
        total = sum(reading.of(stage) for stage in reading.stages)
        sets.append(("joint", JOINT, "features_joint", every, total))
    elif config.planes == "joint" and len(states) > 1:
        widths = ", ".join(f"{stage.name} {kept.shape[1]:,}" for stage, kept in states.items())
        raise Refusal(
            f"These stages have states of different widths ({widths}), which no plane can share: choose "
            "stages of one width, or a plane for each."
        )
    planes, axes, arrays = [], [], {}
    for k, (kind, name, key, kept, of) in enumerate(sets):
        go_on(stop)
        progress(READING + 0.2 * k / len(sets), f"principal components, {name}")
        if len(kept) < FEWEST:
            raise Refusal(
                f"{name} has {len(kept)} token{'s' * (len(kept) != 1)}, and a plane wants {FEWEST} or more: "
                "take more images, or a model that cuts finer patches."
            )
        found = principal(kept, FIRST)
        if not found.shares.any():
            raise Refusal(f"All {len(kept):,} tokens at {name} are the same: there is nothing to lay out.")
        arrays[key] = found.points
        planes.append(
            {
                "planes": kind,
                "plane": name,
                "features": key,
                "tokens": len(kept),
                "of": of,
                "width": kept.shape[1],
                "kept": float(found.shares.sum()),
            }
        )
        axes += [
            {"planes": kind, "plane": name, "axis": axis, "share": float(share)}
            for axis, share in enumerate(found.shares, start=1)
        ]
    return planes, axes, arrays
