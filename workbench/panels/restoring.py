"""The model's own restoration of a picture, as a condition to measure in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from workbench.errors import Refusal
from workbench.images.fit import at_size
from workbench.models.protocol import Capability, Model, Sampling, VisualState

ASKED = "What is in the picture?"
"""Asked where nothing else is: a restoration answers a question."""


def restored(
    model: Model, pixels: np.ndarray, question: str, seed: int, stop: Callable[[], bool]
) -> np.ndarray:
    """The first image that the model draws of this one, uint8, at its size; drawn whatever it decides.

    The sampling is `Sampling`'s own. Raises Refusal where the model draws nothing, Cancelled once `stop` says
    so.
    """
    if Capability.INTERLEAVES not in model.card.capabilities:
        raise Refusal(f"{model.card.id} does not restore images: leave “restored” out.")
    settings = Sampling(seed=seed % 2**31, restore="always")
    events = model.respond(pixels, question or ASKED, settings, stop=stop)
    for event in events:
        if isinstance(event, VisualState) and event.step == event.steps:
            events.close()  # type: ignore[attr-defined]
            return at_size(event.image, pixels.shape[:2])
    raise Refusal(f"{model.card.id} drew no image of this one.")
