"""The two runs that are held against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.errors import go_on
from workbench.models.protocol import Answer, Grid, Model
from workbench.panels.causal.config import CausalConfig
from workbench.panels.causal.tracing import Run

Image = NDArray[np.uint8]


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
    """Both runs of a question. Raises Refusal as `Model.prepare`, and Cancelled once `stop` says so."""
    shown = [clean] if degraded is clean else [clean, degraded]
    runs, answers = [], []
    for image in shown:
        go_on(stop)
        prompt = model.prepare([image], question)
        answers += model.answer(prompt, max_new_tokens=config.max_new_tokens, stop=stop)
        runs.append(Run(model, prompt, batch=config.batch, stop=stop))
    images = {"clean": clean, "degraded": degraded}
    return Pair(runs[0], runs[-1], (answers[0], answers[-1]), runs[0].prompt.grid, images)
