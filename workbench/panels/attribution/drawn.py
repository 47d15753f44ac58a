"""The answer after a drawing, with the drawing in the place of the image that is explained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from workbench.errors import Refusal
from workbench.models.protocol import Answer, Branch, Capability, Model, Sampling
from workbench.panels.attribution.case import Inside
from workbench.panels.attribution.config import AttributionConfig
from workbench.panels.needs import missing


def drawn(
    config: AttributionConfig,
    model: Model,
    image: NDArray[np.uint8],
    question: str,
    stop: Callable[[], bool],
) -> tuple[Inside, NDArray[np.uint8], Answer]:
    """Have the model draw and answer: the prompt that its answer followed, the drawing, and the answer.

    The drawing comes back through the vision tower alone, so its pixels are all that is seen of it.

    Raises:
        Refusal: the model does not draw as it answers.
        Cancelled: once `stop` says so.
    """
    if reason := missing(model.card, frozenset({Capability.INTERLEAVES})):
        raise Refusal(reason)
    settings = Sampling(steps=config.drawing_steps, seed=config.seed, route="re-encode", restore="always")
    branch = next(
        (
            event
            for event in model.branched(image, question, settings, watched=False, stop=stop)
            if isinstance(event, Branch)
        ),
        None,
    )
    if branch is None:
        raise Refusal("The model drew nothing here, so there is no drawing to explain its answer by.")
    prompt = branch.own.prompt()
    last = len(prompt.images) - 1
    own = model.pixels(model.prepare([branch.image], question))
    every = model.pixels(prompt)
    # The tower's images stand one after the other, the drawing last.
    at = every.shape[1] - own.shape[1]
    if at < 0 or not bool((every[:, at:] - own).abs().max() < 1e-3):
        raise Refusal(f"Where the drawing stands among what {model.card.id} reads is not known.")
    return Inside(prompt, last, at), branch.image, branch.own.answer
