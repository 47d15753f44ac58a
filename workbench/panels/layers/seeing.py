"""One pass through the model, and the states that can be measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.capture.hidden import Captured, capture, finite
from workbench.models.protocol import Model


def see(model: Model, pictures: Sequence[np.ndarray], question: str) -> Captured:
    """The states of uint8 pictures (H, W, 3) of one size at every stage.

    Raises Refusal where the model computes numbers that are not finite.
    """
    return finite(capture(model, model.prepare(pictures, question)), model.card)
