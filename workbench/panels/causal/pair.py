"""The two runs that are held against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.errors import Refusal, go_on
from workbench.images.fit import at_size
from workbench.models.protocol import Answer, Branch, Grid, Model, Sampling
from workbench.panels.causal.config import CausalConfig
from workbench.panels.causal.tracing import Run

Image = NDArray[np.uint8]
CLEAN, DEGRADED = "clean", "degraded"
"""What was shown in the two runs, by name."""


@dataclass(frozen=True)
class Pair:
    """The clean and the degraded run, which are one where nothing was degraded.

    answers: what each says. grid: where the visual tokens that are exchanged stand on their image. images:
    what was shown, by name.
    """

    clean: Run
    degraded: Run
    answers: tuple[Answer, Answer]
    grid: Grid
    images: Mapping[str, Image]


def paired(
    config: CausalConfig,
    model: Model,
    clean: Image,
    degraded: Image,
    question: str,
    seed: int,
    stop: Callable[[], bool],
) -> Pair:
    """Both runs of a question.

    Raises:
        Refusal: as `Model.prepare`, or where a drawing is traced and none was made.
        Cancelled: once `stop` says so.
    """
    if config.drawing:
        return _drawn(config, model, clean, degraded, question, seed, stop)
    shown = [clean] if degraded is clean else [clean, degraded]
    runs, answers = [], []
    for image in shown:
        go_on(stop)
        prompt = model.prepare([image], question)
        answers += model.answer(prompt, max_new_tokens=config.max_new_tokens, stop=stop)
        runs.append(Run(model, prompt, batch=config.batch, stop=stop))
    images = {CLEAN: clean, DEGRADED: degraded}
    return Pair(runs[0], runs[-1], (answers[0], answers[-1]), runs[0].prompt.grid, images)


def _drawn(
    config: CausalConfig,
    model: Model,
    clean: Image,
    degraded: Image,
    question: str,
    seed: int,
    stop: Callable[[], bool],
) -> Pair:
    """The response after its own drawing, and with the degraded image in the drawing's place.

    The thought that followed the drawing is kept, so that the two differ in that image and nothing else.
    """
    settings = Sampling(seed=seed, restore="always", route=config.route)
    *_, branch = model.branched(degraded, question, settings, watched=False, stop=stop)
    if not isinstance(branch, Branch):
        raise Refusal("The model drew nothing, so there is no drawing to trace.")
    instead = at_size(degraded, branch.image.shape[:2])
    (other,) = branch.replies([instead], config.route, thought="kept")
    prompts = [reply.prompt() for reply in (branch.own, other)]
    number = len(prompts[0].images) - 1
    runs = [Run(model, prompt, drawn=number, batch=config.batch, stop=stop) for prompt in prompts]
    grid = next(view.grid for view in prompts[0].others if view.grid.image == number)
    images = {CLEAN: branch.image, DEGRADED: instead, "original": clean}
    return Pair(runs[0], runs[1], (branch.own.answer, other.answer), grid, images)
