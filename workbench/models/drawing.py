"""What models that draw from words, and models that write images as tokens, are asked and say.

Importing this file loads neither torch nor a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workbench.models import limits
from workbench.models.protocol import RENORMS, VisualState

if TYPE_CHECKING:
    import numpy as np

MOST_CODES = 1_000_000
"""More codes than any tokeniser for images has."""
LONGEST_SIDE = 4096
"""Pixels of a side that may be asked for; what a model can draw is less."""


@dataclass(frozen=True)
class DrawSettings:
    """How an image is drawn from words. A value outside its limits raises Refusal; None is the model's own.

    ``guidance`` is classifier-free guidance on the words: 1 or less is none. ``height`` and ``width`` are
    pixels of the image.

    Token by token: ``temperature`` 0 takes the likeliest token; ``top_k`` leaves that many tokens to choose
    from (0: all); a state is decoded every ``every`` tokens, by default after each twelfth of the grid.

    By flow: ``steps``, ``shift``, ``interval``, ``renorm`` and ``renorm_min`` as in `protocol.Sampling`.
    """

    seed: int = 0
    guidance: float | None = None
    height: int | None = None
    width: int | None = None
    temperature: float = 1.0
    top_k: int | None = None
    every: int | None = None
    steps: int = 24
    shift: float = 3.0
    interval: tuple[float, float] = (0.4, 1.0)
    renorm: str = "global"
    renorm_min: float = 0.0

    def __post_init__(self) -> None:
        limits.whole("seed", self.seed, 0, 2**31 - 1)
        limits.within("temperature", self.temperature, 0.0, 100.0)
        limits.whole("steps", self.steps, 1, limits.MOST_STEPS)
        limits.within("shift", self.shift, 0.1, 20.0)
        limits.ordered("The guidance interval", self.interval)
        limits.one_of("renorm", self.renorm, RENORMS)
        limits.within("renorm_min", self.renorm_min, 0.0, 1.0)
        if self.guidance is not None:
            limits.within("guidance", self.guidance, 0.0, 50.0)
        for name, value, low, high in (
            ("height", self.height, 1, LONGEST_SIDE),
            ("width", self.width, 1, LONGEST_SIDE),
            ("top_k", self.top_k, 0, MOST_CODES),
            ("every", self.every, 1, LONGEST_SIDE**2),
        ):
            if value is not None:
                limits.whole(name, value, low, high)


@dataclass(frozen=True)
class Canvas:
    """What is about to be drawn, said before anything is.

    ``rows`` and ``cols`` are those of the tokens, by flow of the latent tokens, which cover an image of
    ``height`` × ``width`` pixels. ``codes`` is how many codes a token is chosen from, 0 by flow. ``read`` is
    what the model reads, template and all; ``settings`` have the model's own values where none were given.
    """

    by: Literal["tokens", "flow"]
    rows: int
    cols: int
    height: int
    width: int
    codes: int
    read: str
    settings: DrawSettings


@dataclass(frozen=True)
class TokenState:
    """An image that is being drawn token by token, row by row: its first ``drawn`` tokens.

    All four grids are (rows, cols). ``tokens``, int64, holds codes of the tokeniser, -1 where none is drawn
    yet; the others, float32, NaN there. ``entropy`` in nats is that of the distribution over codes after
    guidance and before temperature and top-k, ``unguided`` that of the model's own before guidance; both are
    of the place, given every token before it. ``logprob`` in nats is what the first of the two gives the
    token that was drawn.

    ``image``, uint8 (H, W, 3), is what the tokeniser decodes the tokens to. To run its decoder, places not
    yet drawn are filled with the code nearest to the codebook's mean, and their pixels are then painted grey.
    That is our choice: no model says what a half-drawn image looks like, and near the border, and faintly
    everywhere, the filling shows in what is drawn.
    """

    drawn: int
    tokens: np.ndarray
    entropy: np.ndarray
    unguided: np.ndarray
    logprob: np.ndarray
    image: np.ndarray


DrawEvent = Canvas | TokenState | VisualState
"""A canvas first, then the states of one kind; the last state is the finished image."""


@dataclass(frozen=True)
class Tokenised:
    """An image as a tokeniser writes it, and what it reads back.

    ``tokens``, int64 (rows, cols), are codes out of ``codes``. ``seen``, uint8 (H, W, 3), is the image as the
    tokeniser gets it; ``decoded``, of that shape, what its decoder makes of the tokens, None where it has no
    decoder. ``inside`` is top, left, bottom, right in pixels of what is no padding.
    """

    tokens: np.ndarray
    codes: int
    seen: np.ndarray
    decoded: np.ndarray | None
    inside: tuple[int, int, int, int]
