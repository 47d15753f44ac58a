"""Causal tracing: where the damage enters, and through which layers the image reaches the answer.

Knockout takes attention away from one place to another within a window of layers (Geva et al., 2023; Neo et
al., 2024, for images). Patching puts the states that the visual tokens have in one run into another, stage by
stage (Meng et al., 2022). Both ask what becomes of the log-probability of the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.errors import Refusal
from workbench.models.protocol import Capability, Model, never
from workbench.panels.causal.config import DRAWN, CausalConfig
from workbench.panels.causal.effects import blocked, recovered
from workbench.panels.layers.config import Progress, quiet
from workbench.panels.needs import missing
from workbench.panels.question import required, short_enough
from workbench.panels.specimen import CLEAN, degrade, find, known, truth

if TYPE_CHECKING:
    import numpy as np

    from workbench.images.read import Picture
    from workbench.panels.causal.item import Item, Row
    from workbench.runs.result import Result

STUDY = "causal"
NEEDS = frozenset({Capability.ANSWERS, Capability.HIDDEN_STATES})
BLOCKS = frozenset({Capability.ATTENTION})
"""What knockout needs besides. Where more is asked for it is left out, and the verdict says so."""
DRAWS = frozenset({Capability.GENERATES, Capability.INTERLEAVES})


def prepared(config: CausalConfig, picture: Picture | None = None) -> Picture | None:
    """The picture, None for a collection; what needs no model is refused here. Raises Refusal."""
    short_enough(config.question)
    known(config.corruption)
    if config.drawing and config.corruption == CLEAN:
        raise Refusal(
            "A drawing is traced against the degraded image in its place: name a corruption with "
            "--corruption."
        )
    if set(config.parts).isdisjoint({"knockout"}) and config.corruption == CLEAN:
        raise Refusal(
            "Patching needs two runs that differ: name a corruption with --corruption, or trace knockout."
        )
    if config.paths == (DRAWN,) and config.parts == ("knockout",) and not config.drawing:
        raise Refusal("There is attention to a drawing only where one is made: give --drawing.")
    if picture is None and not config.image:
        return None
    required(config.question)
    return find(config.image).picture if picture is None else picture


def run(
    config: CausalConfig,
    model: Model,
    *,
    picture: Picture | None = None,
    progress: Progress = quiet,
    stop: Callable[[], bool] = never,
) -> Result:
    """Trace one question about a picture, or those of a collection.

    The result holds the tables "items" (a row for each question: the answers, and their log-probabilities in
    both runs), "knockout" and "patching" (a row for each question and window, or exchange), "blocked",
    "recovery" and "halves" (what they add up to, with 95 % intervals over images; see `effects`), of a
    collection "data", of a picture "maps" and "regions" with arrays and images.

    Raises:
        Refusal: bad input, or a model that cannot serve.
        Cancelled: once `stop` says so.
    """
    needs = NEEDS
    if config.drawing:
        needs |= DRAWS
    if config.parts == ("knockout",):
        needs |= BLOCKS
    if reason := missing(model.card, needs):
        raise Refusal(reason)
    started = time.time()
    picture = prepared(config, picture)
    tables: dict[str, list[Row]]
    went_in: Mapping[str, str | Picture]
    arrays: dict[str, np.ndarray] = {}
    images: dict[str, np.ndarray] = {}
    if picture is not None:
        from workbench.panels.causal.item import traced

        item, went_in = _item(config, picture)
        progress(0.0, "answering about the clean and the degraded image")
        found = traced(config, model, item, mapped=True, progress=progress, stop=stop)
        tables = {
            "items": [found.about],
            "knockout": [{"item": 0} | row for row in found.knockout],
            "patching": [{"item": 0} | row for row in found.patching],
            "maps": found.maps,
            "regions": found.regions,
        }
        arrays, images = found.arrays, found.images
    else:
        from workbench.panels.causal.collection import gathered

        over, about, fingerprint = gathered(config, model, progress, stop)
        went_in = {"data": fingerprint}
        tables = {"items": over.items, "knockout": over.knockout, "patching": over.patching, "data": about}
        tables |= {"skipped": over.skipped} if over.skipped else {}
    progress(0.98, "computing intervals")
    return _result(config, model, tables, arrays, images, went_in, started, progress)


def _result(
    config: CausalConfig,
    model: Model,
    rows: dict[str, list[Row]],
    arrays: dict[str, Any],
    images: dict[str, Any],
    went_in: Mapping[str, str | Picture],
    started: float,
    progress: Progress,
) -> Result:
    import pandas as pd

    from workbench.runs.manifest import manifest
    from workbench.runs.result import Result

    tables = {name: pd.DataFrame(some) for name, some in rows.items() if some}
    how = {"resamples": config.resamples, "seed": config.seed}
    if "knockout" in tables:
        tables["blocked"] = blocked(tables["items"], tables["knockout"], **how)
    if "patching" in tables:
        recovery, halves = recovered(tables["items"], tables["patching"], model.stages(), **how)
        tables |= {"recovery": recovery} | ({"halves": halves} if len(halves) else {})
    progress(1.0, "done")
    values = config.model_dump(mode="json")
    return Result(
        study=STUDY,
        config=values,
        manifest=manifest(model.card, values, config.seed, went_in, started),
        tables=tables,
        arrays=arrays,
        images=images,
    )


def _item(config: CausalConfig, picture: Picture) -> tuple[Item, dict[str, Picture]]:
    """The picture's question, with what is known of it where it is a drawn scene."""
    from workbench.datasets.matching import by_hand
    from workbench.images.scenes import CLASSES
    from workbench.panels.causal.item import Item
    from workbench.panels.interventions.study import right_answer

    labels = truth(config.image, picture.pixels)
    item = Item(
        config.image or "image",
        by_hand(config.question, right_answer(config.image, config.question)),
        picture.pixels,
        degrade(picture.pixels, config.corruption, config.intensity, config.seed),
        config.seed,
        labels=None if labels is None else labels.samples[0],
        classes=CLASSES,
    )
    return item, {"original": picture}
