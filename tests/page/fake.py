"""A model that speaks the protocol without weights: it draws by blending from noise to a brighter image."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tests.card import CARD
from workbench.errors import Cancelled
from workbench.models.protocol import (
    Answer,
    Decision,
    Event,
    Final,
    Grid,
    Prompt,
    Sampling,
    Stage,
    Tap,
    Thought,
    Token,
    VisualState,
    never,
)

if TYPE_CHECKING:
    from torch import Tensor


def said(text: str, probability: float) -> Answer:
    logprob = math.log(probability)
    return Answer(text, (Token(text, logprob, 0),), logprob)


def spoken(text: str) -> Iterator[Thought]:
    """A thought as it is said, word by word, then whole."""
    for end in (at for at, letter in enumerate(text) if letter in " <" and at):
        yield Thought(text[:end].strip(), done=False)
    yield Thought(text)


class FakeModel:
    """Answers "dark" or "bright" by the image's mean; each step of drawing takes ``delay`` seconds."""

    def __init__(self, delay: float = 0.0) -> None:
        self.card = CARD
        self.delay = delay
        self.steps_taken = 0

    def stages(self) -> list[Stage]:
        return []

    def resized(self, image: np.ndarray) -> np.ndarray:
        return image

    def prepare(self, images: Sequence[np.ndarray], text: str = "", *, together: bool = False) -> Prompt:
        return Prompt(list(images), text, Grid(1, 1, np.zeros((1, 4), np.float32)), {}, None)  # type: ignore[arg-type]

    def taps(self, prompt: Prompt) -> list[Tap]:
        return []

    def forward(self, prompt: Prompt) -> Tensor:
        import torch

        return torch.zeros(len(prompt.images), 1)

    def readout(self, states: Tensor) -> Tensor:
        return states[..., :1]

    def answer(
        self, prompt: Prompt, *, max_new_tokens: int = 16, stop: Callable[[], bool] = never
    ) -> list[Answer]:
        if stop():
            raise Cancelled
        return [said("dark" if image.mean() < 64 else "bright", 0.44) for image in prompt.images]

    def score(self, prompt: Prompt, candidates: Sequence[str]) -> np.ndarray:
        return np.zeros((len(prompt.images), len(candidates)))

    def respond(
        self, image: np.ndarray, question: str, settings: Sampling, *, stop: Callable[[], bool] = never
    ) -> Iterator[Event]:
        rng = np.random.default_rng(settings.seed)
        draws = settings.restore != "never"
        thought = "<think>the image is dark; restore it</think>"
        yield from spoken(thought + ("<image_restore>" if draws else "<answer>dark</answer>"))
        yield Decision(draws, 0.93)
        if not draws:
            yield Final(said("dark", 0.44))
            return
        noise = rng.integers(0, 256, image.shape)
        target = np.clip(image.astype(np.float64) * 96.0 / max(image.mean(), 1.0), 0, 255)
        for step in range(settings.steps + 1):
            if stop():
                raise Cancelled
            t = 1 - step / settings.steps
            mixed = (t * noise + (1 - t) * target).astype(np.uint8)
            self.steps_taken += 1
            yield VisualState(step, settings.steps, t, mixed, np.zeros((4, 2), np.float32), 3.0 - t)
            time.sleep(self.delay)
        yield from spoken("<think>now it can be seen</think><answer>bright</answer>")
        yield Final(said("bright", 0.81), target.astype(np.uint8))
