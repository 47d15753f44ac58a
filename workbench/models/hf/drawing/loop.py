"""Drawing an image token by token: guidance, sampling, and what is kept of every step.

With the same settings and seed the tokens are those of transformers' own generation, which the tests compare
one by one. So one number is drawn also where a family leaves a single word to say, as the end of a line: that
moves the generator on as it does there.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from workbench.errors import Refusal, go_on
from workbench.models.drawing import Canvas, DrawEvent, DrawSettings, TokenState

STATES = 12
"""How many states are decoded where nobody says how often."""
MOST_STATES = 600
"""More pictures than that are not kept of one drawing: a state for every token of Janus' 576."""
GREY = 128
"""The pixels of places that are not drawn yet."""


class Brush(ABC):
    """One image that is being drawn: what the loop asks of a family.

    ``settings`` are complete: ``height`` and ``width``, ``guidance`` and ``top_k`` are numbers.
    """

    rows: int
    cols: int
    settings: DrawSettings
    read: str
    codebook: Tensor
    """Of the tokeniser, (codes, width)."""

    @abstractmethod
    def logits(self) -> tuple[Tensor, Tensor | None]:
        """For the next word: the model's own and, where guidance compares, those without the words; (n,)."""

    @abstractmethod
    def allowed(self) -> Tensor | None:
        """The words that may come next, ids; None: all of them are codes, and any may."""

    @abstractmethod
    def say(self, word: int) -> int | None:
        """Take in the next word; the code that it stands for, None where it ends a line."""

    @abstractmethod
    def decoded(self, codes: Tensor) -> np.ndarray:
        """The image, uint8 (H, W, 3), of codes int64 (rows, cols) on the model's device."""


@torch.inference_mode()
def paint(brush: Brush, stop: Callable[[], bool]) -> Iterator[DrawEvent]:
    """Yield the canvas, then a state every so many tokens, the last one with all of them.

    Raises Refusal where that makes too many states, and Cancelled once `stop` says so; it is asked before
    every pass.
    """
    rows, cols, settings = brush.rows, brush.cols, brush.settings
    every = settings.every or math.ceil(rows * cols / STATES)
    if (states := math.ceil(rows * cols / every)) > MOST_STATES:
        raise Refusal(
            f"A state every {every} of {rows * cols:,} tokens makes {states:,}; at most {MOST_STATES} are "
            f"kept. Take one every {math.ceil(rows * cols / MOST_STATES)} or more."
        )
    settings = replace(settings, every=every)
    height, width = int(settings.height or 0), int(settings.width or 0)
    codes = len(brush.codebook)
    yield Canvas("tokens", rows, cols, height, width, codes, brush.read, settings)
    generator: torch.Generator | None = None
    filling = nearest_to_mean(brush.codebook)
    tokens = np.full(rows * cols, -1, np.int64)
    measured = np.full((3, rows * cols), np.nan, np.float32)
    drawn = 0
    while drawn < rows * cols:
        go_on(stop)
        plain, without = brush.logits()
        logits = guided(plain, without, settings.guidance or 0.0)
        if (allowed := brush.allowed()) is not None:
            allowed = allowed.to(logits.device)
        generator = generator or torch.Generator(logits.device).manual_seed(settings.seed)
        word = choose(logits, allowed, settings, generator)
        code = brush.say(word)
        if code is None:
            continue
        measured[:, drawn] = surprise(plain, logits, allowed, word)
        tokens[drawn] = code
        drawn += 1
        if drawn % every and drawn < rows * cols:
            continue
        grid = torch.from_numpy(np.where(tokens < 0, filling, tokens)).view(rows, cols)
        image = brush.decoded(grid.to(brush.codebook.device))
        entropy, unguided, logprob = measured.copy().reshape(3, rows, cols)
        yield TokenState(
            drawn,
            tokens.copy().reshape(rows, cols),
            entropy,
            unguided,
            logprob,
            greyed(image, rows, cols, drawn),
        )


def guided(plain: Tensor, without: Tensor | None, scale: float) -> Tensor:
    """Classifier-free guidance: away from the logits without the words, `scale` times as far; (n,)."""
    return plain if without is None else without + scale * (plain - without)


def choose(logits: Tensor, allowed: Tensor | None, settings: DrawSettings, generator: torch.Generator) -> int:
    """The next word, in the order of transformers' processors: what is allowed, temperature, top-k."""
    scores = logits
    if allowed is not None:
        scores = torch.full_like(logits, -torch.inf).index_copy(0, allowed, logits[allowed])
    if settings.temperature == 0:
        return int(scores.argmax())
    scores = scores / settings.temperature
    if settings.top_k:
        least = scores.topk(min(settings.top_k, len(scores))).values[-1]
        scores = scores.masked_fill(scores < least, -torch.inf)
    return int(torch.multinomial(scores.softmax(-1), 1, generator=generator))


def surprise(plain: Tensor, logits: Tensor, allowed: Tensor | None, word: int) -> tuple[float, float, float]:
    """In nats: entropy after guidance, entropy before it, log-probability of the word after guidance.

    All over the words that may come here.
    """
    if allowed is not None:
        spoken = (allowed == word).nonzero()[0, 0]
        plain, logits = plain[allowed], logits[allowed]
    else:
        spoken = torch.tensor(word, device=logits.device)
    after, before = logits.log_softmax(-1), plain.log_softmax(-1)
    three = torch.stack([entropy(after), entropy(before), after[spoken]])
    first, second, third = three.tolist()
    return first, second, third


def entropy(logprobs: Tensor) -> Tensor:
    """Shannon entropy in nats, -Σ p ln p, of log-probabilities (n,); one of -inf adds nothing."""
    return torch.special.entr(logprobs.exp()).sum()


def nearest_to_mean(codebook: Tensor) -> int:
    """The code whose vector is nearest to the mean of all: what stands where nothing is drawn yet."""
    vectors = codebook.float()
    return int((vectors - vectors.mean(0)).square().sum(-1).argmin())


def greyed(image: np.ndarray, rows: int, cols: int, drawn: int) -> np.ndarray:
    """The image with the pixels of all but the first `drawn` cells, row by row, painted grey."""
    height, width = image.shape[0] // rows, image.shape[1] // cols
    undrawn = (np.arange(rows * cols) >= drawn).reshape(rows, cols)
    out = image.copy()
    out[undrawn.repeat(height, axis=0).repeat(width, axis=1)] = GREY
    return out
