"""Which kind of token stands where in a prompt: the image's, the drawing's, words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from workbench.models.protocol import Grid, Prompt

TEXT, IMAGE, DRAWN, ANSWER = "text", "image", "drawn image", "answer"
VISUAL = (IMAGE, "thumbnail", "image, latent", DRAWN, "drawn image, latent")
"""The kinds that are tokens of an image, in the order in which they are named."""


@dataclass(frozen=True)
class Seen:
    """One view of an image: its kind, its grid, and where its tokens stand, int64 (cells,)."""

    kind: str
    grid: Grid
    places: NDArray[np.int64]


def views_of(prompt: Prompt) -> list[Seen]:
    """All views of a prompt, the image's own first."""
    every = [(prompt.grid, prompt.visual), *((view.grid, view.positions) for view in prompt.others)]
    return [Seen(kind_of(grid), grid, places.cpu().numpy()) for grid, places in every]


def kind_of(grid: Grid) -> str:
    """What a view's tokens are called; images after the first are what was drawn."""
    name = DRAWN if grid.image else IMAGE
    if grid.part == "latent":
        return f"{name}, latent"
    return "thumbnail" if grid.part == "thumbnail" else name


def kinds(views: list[Seen], length: int, said: int) -> tuple[list[str], NDArray[np.int64]]:
    """The kinds that there are, and which of them each token is, int64 (length,).

    said: how many tokens of the answer stand at the end of the sequence.
    """
    names = [TEXT, *(kind for kind in VISUAL if any(view.kind == kind for view in views))]
    which = np.zeros(length, dtype=np.int64)
    for view in views:
        which[view.places] = names.index(view.kind)
    if said:
        names.append(ANSWER)
        which[length - said :] = len(names) - 1
    return names, which
