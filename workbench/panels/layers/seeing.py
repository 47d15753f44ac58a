"""One pass through the model, and the states that can be measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.capture.hidden import Captured, capture
from workbench.errors import Refusal
from workbench.models.protocol import Model


def see(model: Model, pictures: Sequence[np.ndarray], question: str) -> Captured:
    """The states of uint8 pictures (H, W, 3) of one size at every stage.

    Raises Refusal where the model computes numbers that are not finite, as 16-bit ones can overflow: every
    measure of them would be void.
    """
    captured = capture(model, model.prepare(pictures, question))
    for stage, states in zip(captured.stages, captured.states, strict=True):
        if not np.isfinite(states).all():
            raise Refusal(
                f"{model.card.id} computes numbers that are not finite at {stage.name} in "
                f"{model.card.dtype}. Open it with --dtype float32."
            )
    return captured
