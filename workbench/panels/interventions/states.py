"""What stands in place of the drawing, and where it is from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.images.fit import at_size
from workbench.panels.interventions.config import OWN, State
from workbench.panels.specimen import CLEAN

GREY = 128
"""Level of the blank picture in all channels: the middle of what a pixel can be. Ours."""
LABELS: dict[str, str] = {
    OWN: "its own drawing",
    "none": "no drawing",
    "degraded": "the degraded image",
    "clean": "the clean image",
    "other": "another image",
    "blank": "blank",
    "noise": "noise",
    "painted": "the painted edit",
}
"""Each state in words."""
ABOUT: dict[str, str] = {
    OWN: "what the model drew",
    "none": "the model answers in the same context without drawing",
    "degraded": "what the model was given, once more",
    "clean": "the image before it was degraded: what a perfect restoration would be",
    "other": "the clean image of another sample, chosen by the seed",
    "blank": f"grey, level {GREY} everywhere",
    "noise": "every channel of every pixel drawn evenly from 0 to 255, by the seed",
    "painted": "the drawing as somebody painted over it",
}


@dataclass(frozen=True)
class Pictures:
    """The pictures around one drawing: uint8 (H, W, 3). other, painted: of any size, None where none is."""

    original: np.ndarray
    degraded: np.ndarray
    other: np.ndarray | None = None
    painted: np.ndarray | None = None


def wanted(states: Sequence[State], pictures: Pictures, corruption: str) -> list[State]:
    """Of the states those that there are: an image that was not degraded is the clean one."""
    missing = {
        "degraded": corruption == CLEAN,
        "other": pictures.other is None,
        "painted": pictures.painted is None,
    }
    return [state for state in states if not missing.get(state, False)]


def picture_of(state: State, pictures: Pictures, seed: int) -> np.ndarray | None:
    """The picture that stands in, uint8 of the degraded image's size; None for no drawing at all."""
    size = pictures.degraded.shape[:2]
    if state == "none":
        return None
    if state == "blank":
        return np.full_like(pictures.degraded, GREY)
    if state == "noise":
        rng = np.random.default_rng((seed, 0xD1CE))
        return rng.integers(0, 256, pictures.degraded.shape, dtype=np.uint8)
    found = {
        "degraded": pictures.degraded,
        "clean": pictures.original,
        "other": pictures.other,
        "painted": pictures.painted,
    }[state]
    assert found is not None
    return at_size(found, size)
