"""A model that speaks the protocol without weights: it draws by blending from noise to a brighter image."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.card import CARD
from workbench.errors import Cancelled
from workbench.models.drawing import Canvas, DrawEvent, DrawSettings, Tokenised, TokenState
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

    def spelled(self, tokens: Sequence[int]) -> list[str]:
        return [f"<{number}>" for number in tokens]

    def beginnings(self, word: str) -> list[int]:
        return [0]

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

    def branched(
        self, image: np.ndarray, question: str, settings: Sampling, *, watched: bool = True, stop: Any = never
    ) -> Iterator[Event]:
        """No branch: `tests.panels.fake_branch` has one."""
        yield from self.respond(image, question, settings, stop=stop)

    def draw(
        self, words: str, settings: DrawSettings, *, stop: Callable[[], bool] = never
    ) -> Iterator[DrawEvent]:
        """Three rows of four tokens, a state a row; words of "flow" are drawn by flow."""
        rng = np.random.default_rng(settings.seed)
        own = 5.0 if settings.guidance is None else settings.guidance
        used = replace(settings, guidance=own, height=24, width=32, top_k=settings.top_k or 0)
        if "flow" in words:
            yield Canvas("flow", 3, 4, 24, 32, 0, words, used)
            for step in range(settings.steps + 1):
                t = 1 - step / settings.steps
                image = np.full((24, 32, 3), 4 * step, np.uint8)
                yield VisualState(step, settings.steps, t, image, np.full((12, 2), t, np.float32), 2.0 + step)
            return
        yield Canvas("tokens", 3, 4, 24, 32, 64, f"<user> {words}", used)
        tokens = rng.integers(0, 64, 12)
        numbers = rng.uniform(0.2, 3.0, (3, 12)).astype(np.float32)
        for drawn in (4, 8, 12):
            if stop():
                raise Cancelled
            there = np.arange(12) < drawn
            entropy, unguided, logprob = (np.where(there, n, np.nan).reshape(3, 4) for n in numbers)
            image = np.full((24, 32, 3), 128, np.uint8)
            image[: 2 * drawn] = 200
            whole = np.where(there, tokens, -1).reshape(3, 4)
            yield TokenState(drawn, whole, entropy, unguided, -logprob, image)
            time.sleep(self.delay)

    def tokenised(self, image: np.ndarray) -> Tokenised:
        """A token for 8 by 8 pixels: their mean in 16 levels; the lowest row of them is padding."""
        height, width = (side // 8 * 8 for side in image.shape[:2])
        seen = image[:height, :width]
        tokens = seen.reshape(height // 8, 8, width // 8, 8, 3).mean((1, 3, 4)).astype(np.int64) // 16
        decoded = (tokens * 16 + 8).astype(np.uint8).repeat(8, 0).repeat(8, 1)[..., None].repeat(3, 2)
        return Tokenised(tokens, 16, seen, decoded, (0, 0, height - 8, width))
