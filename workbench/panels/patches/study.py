"""Patches: what a model has at each patch of an image, stage by stage, for a person to click through."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.models.protocol import Capability, Model, never
from workbench.panels.capture.config import CaptureConfig
from workbench.panels.patches.config import PatchesConfig
from workbench.panels.question import short_enough
from workbench.panels.specimen import find, known

if TYPE_CHECKING:
    from workbench.images.read import Picture
    from workbench.models.protocol import ModelCard
    from workbench.panels.capture.contents import Seen
    from workbench.runs.result import Result

STUDY = "patches"
NEEDS = frozenset({Capability.HIDDEN_STATES})


def prepared(config: PatchesConfig, picture: Picture | None = None) -> Picture:
    """The picture of a look; what needs no model is refused here. Raises Refusal."""
    short_enough(config.question)
    known(config.corruption)
    return find(config.image).picture if picture is None else picture


def run(
    config: PatchesConfig,
    model: Model,
    *,
    picture: Picture | None = None,
    progress: Callable[[float, str], None] = lambda fraction, text: None,
    stop: Callable[[], bool] = never,
) -> Result:
    """Capture the picture with its question, and keep of that what every patch can be asked for.

    The passes are those of the capture study, so a saved capture shows the same. `measure.measured` says what
    the result holds.

    Args:
        config: the settings.
        model: an open model with hidden states.
        picture: the picture, if it is at hand; otherwise `config.image` is read.
        progress: told a fraction 0..1 and what is being done.
        stop: asked between passes, tokens and stages.

    Raises:
        Refusal: on bad input, or a model that shows no hidden states or numbers that are not finite.
        Cancelled: once `stop` says so.
    """
    from workbench.panels.capture import study as capture
    from workbench.panels.capture.contents import seen

    started = time.time()
    passes = CaptureConfig(
        images=(config.image,),
        prompt=config.question,
        corruption=config.corruption,
        intensity=config.intensity,
        seed=config.seed,
        dtype_states="float32",
        max_new_tokens=config.max_new_tokens,
        attention_rows=config.attention_rows,
        lens_top=config.top,
        words=config.words,
    )
    captured = capture.run(
        passes,
        model,
        pictures=[prepared(config, picture)],
        progress=lambda done, text: progress(0.95 * done, text),
        stop=stop,
    )
    progress(0.95, "similarity, norms, attention")
    one = seen(captured)[0]
    return result_of(config, one, captured, model.card, started)


def result_of(
    config: PatchesConfig, one: Seen, captured: Result, model: ModelCard | Mapping[str, Any], started: float
) -> Result:
    """What was seen of one image of a capture as a result of this study.

    model: the card of the model, or what an earlier manifest says of it.
    """
    import pandas as pd

    from workbench.panels.patches.measure import measured
    from workbench.runs.manifest import manifest
    from workbench.runs.result import Result

    tables, arrays = measured(one, centre=config.centre)
    for name in ("vocabulary", "words", "answer", "tokens"):
        if name in captured.tables and len(captured.tables[name]):
            tables[name] = captured.tables[name].to_dict("records")
    values = config.model_dump(mode="json")
    return Result(
        study=STUDY,
        config=values,
        manifest=manifest(model, values, config.seed, {"picture": one.picture}, started),
        tables={name: pd.DataFrame(rows) for name, rows in tables.items()},
        arrays=arrays,
        images={"original": one.picture.pixels, "shown": one.shown},
    )
