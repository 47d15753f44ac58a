"""Interventions: is the drawn image load-bearing?

The response is held where its drawing comes back; something else is put in its place, by the latent bridge,
by re-encoding or by both, and the model answers again. How far the log-probability of its answer falls, and
whether the answer changes, says whether it rests on the drawing. CLEAR (arXiv 2604.04780, section 4.4)
reports one such case (the degraded image's latent at the bridge); the other states are ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.datasets.matching import by_hand
from workbench.errors import Refusal
from workbench.models.protocol import Capability, Model, VisualState, never
from workbench.panels.interventions.again import Answered, Asking, Item, again
from workbench.panels.interventions.config import PAINTED, InterventionsConfig
from workbench.panels.interventions.states import Pictures
from workbench.panels.layers.config import Progress, quiet
from workbench.panels.needs import missing
from workbench.panels.question import required
from workbench.panels.specimen import SCENE, Specimen, degrade, find, known

if TYPE_CHECKING:
    import numpy as np

    from workbench.images.read import Picture
    from workbench.runs.result import Result

STUDY = "intervene"
NEEDS = frozenset({Capability.ANSWERS, Capability.GENERATES, Capability.INTERLEAVES})
DRAWING = 0.6
"""Share of the bar that the response takes, of one image."""


def prepared(config: InterventionsConfig, picture: Picture | None = None) -> Picture | None:
    """The picture, None for a collection; what needs no model is refused here. Raises Refusal."""
    config.sampling()
    known(config.corruption)
    if picture is None and not config.image:
        if config.painted or config.truth:
            raise Refusal("--painted and --truth belong to one image: name it with --image.")
        return None
    required(config.question)
    if config.painted:
        find(config.painted)
    return find(config.image).picture if picture is None else picture


def run(
    config: InterventionsConfig,
    model: Model,
    *,
    picture: Picture | None = None,
    painted: np.ndarray | None = None,
    progress: Progress = quiet,
    stop: Callable[[], bool] = never,
) -> Result:
    """Answer again with every state by every route, for one picture or for each question of a collection.

    The result holds the tables "answers" (a row for each question, state and route: the greedy answer, the
    log-probability of the own drawing's answer and of the right one with the change in nats, whether the
    answer changed, NaN where the own drawing's has no words, whether it is right) and "responses" (the
    thoughts, and whether it drew); of a collection also "effects" (means with 95 % intervals) and "data", and
    questions and images by number; of one picture the images by state.

    `painted`: uint8 (H, W, 3), a drawing edited by hand, if it is at hand; else `config.painted` is read.

    Raises:
        Refusal: bad input, or a model that does not draw on its way to an answer.
        Cancelled: once `stop` says so.
    """
    if reason := missing(model.card, NEEDS):
        raise Refusal(reason)
    started = time.time()
    picture = prepared(config, picture)
    went_in: Mapping[str, str | Picture]
    if picture is not None:
        tables, images, went_in = _one(config, model, picture, painted, progress, stop)
    else:
        from workbench.panels.interventions.collection import measured

        tables, went_in = measured(config, model, progress, stop)
        images = {}
    import pandas as pd

    from workbench.runs.manifest import manifest
    from workbench.runs.result import Result

    values = config.model_dump(mode="json")
    return Result(
        study=STUDY,
        config=values,
        manifest=manifest(model.card, values, config.seed, went_in, started),
        tables={name: pd.DataFrame(rows) for name, rows in tables.items()},
        images=images,
    )


def other_scene(seed: int, source: str) -> Specimen:
    """The scene of the test split that stands for "another image" beside one picture: drawn by the seed."""
    import numpy as np

    rng = np.random.default_rng((seed, 0x07E2))
    numbers = [f"{SCENE}{number}" for number in rng.choice(100_000, 2, replace=False)]
    return find(numbers[0] if numbers[0] != source else numbers[1])


def _one(
    config: InterventionsConfig,
    model: Model,
    picture: Picture,
    painted: np.ndarray | None,
    progress: Progress,
    stop: Callable[[], bool],
) -> tuple[dict[str, list[Any]], dict[str, np.ndarray], dict[str, Picture]]:
    """Tables, images and what went in, of one picture."""
    from workbench.images.read import read

    original, went_in = picture.pixels, {"original": picture}
    if painted is not None:
        went_in[PAINTED] = read(painted, name="the painted drawing")
    elif config.painted:
        went_in[PAINTED] = find(config.painted).picture
        painted = went_in[PAINTED].pixels
    other = other_scene(config.seed, config.image) if "other" in config.states else None
    degraded = degrade(original, config.corruption, config.intensity, config.seed)
    pictures = Pictures(original, degraded, None if other is None else other.picture.pixels, painted)
    asked = by_hand(config.question, truth_of(config))
    item = Item(config.image or "image", asked, pictures, config.seed)
    progress(0.0, "thinking")
    found: Answered | None = None
    for event in again(config, model, item, watched=True, stop=stop):
        match event:
            case VisualState(step, steps):
                progress(DRAWING * step / steps, f"denoising, step {step} of {steps}")
            case Asking(done, total, route):
                share = DRAWING + (1 - DRAWING) * done / total
                progress(share, f"answering with each image in place of the drawing, route {route}")
            case Answered():
                found = event
    assert found is not None
    if not found.rows:
        raise Refusal(
            "The model decided not to draw, so nothing can stand in place of a drawing. Have it draw in any "
            "case (--restore always), or degrade the image more."
        )
    progress(1.0, "done")
    tables: dict[str, list[Any]] = {"answers": found.rows, "responses": [found.response]}
    if other is not None:
        tables["other"] = [{"source": other.source, "name": other.name}]
    images = {"original": original, "degraded": degraded}
    return tables, images | found.images, went_in


def truth_of(config: InterventionsConfig) -> str:
    """The right answer, as given, or a drawn scene's own to its own question; empty where none is known."""
    return config.truth.strip() or right_answer(config.image, config.question)


def right_answer(image: str, question: str) -> str:
    """A drawn scene's own answer to its own question; empty where none is known."""
    if not image.startswith(SCENE):
        return ""
    specimen = find(image)
    return specimen.truth if question == specimen.question else ""
