"""What a method is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from workbench.errors import Refusal
from workbench.models.protocol import Capability
from workbench.panels.attribution.case import Case
from workbench.panels.attribution.names import ALL_LAYERS

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """Maps, float64 (targets, layers, cells), and the layers' names: one empty name where there are none.

    told: numbers of the method itself, one for each target, such as how far it misses completeness.
    """

    maps: Floats
    layers: tuple[str, ...] = ("",)
    told: dict[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """One way to make maps.

    about: what it is, in a few words. signed: whether what speaks
    against the target is below zero. pixels: whether it needs gradients of the pixels.
    """

    make: Callable[[Case], Found]
    about: str
    signed: bool = False
    pixels: bool = False

    def explain(self, case: Case) -> Found:
        """The maps of a case.

        Raises:
            Refusal: the method does not apply to this model, or made numbers that are not finite.
            Cancelled: once the case's `stop` says so.
        """
        card = case.model.card
        if self.pixels and Capability.PIXEL_GRADIENTS not in card.capabilities:
            raise Refusal(
                f"{card.id} turns pixels into tokens of a codebook, through which no gradient passes. Take "
                "token-gradients, or a method that takes parts of the image away."
            )
        found = self.make(case)
        if not np.isfinite(found.maps).all():
            raise Refusal("It came to numbers that are not finite. Open the model in float32.")
        return found if len(found.layers) == 1 else averaged(found)


def averaged(found: Found) -> Found:
    """With the mean over all layers before them, each layer's map divided by its sum of sizes. Ours."""
    size = np.abs(found.maps).sum(axis=2, keepdims=True)
    equal = np.divide(found.maps, size, out=np.zeros_like(found.maps), where=size > 0)
    maps = np.concatenate([equal.mean(axis=1, keepdims=True), found.maps], axis=1)
    return Found(maps, (ALL_LAYERS, *found.layers), found.told)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers of torch and numpy from a seed, both of which Captum draws; afterwards as before."""
    import torch

    before = np.random.get_state()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            np.random.set_state(before)
