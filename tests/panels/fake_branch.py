"""A model whose answers follow what stands in place of its drawing, by a rule that can be written down."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tests.page.fake import FakeModel, said
from workbench.errors import go_on
from workbench.models.protocol import (
    Answer,
    Branch,
    Decision,
    Event,
    Final,
    Prompt,
    Reply,
    Sampling,
    Thought,
    VisualState,
    never,
)


class FakeReply:
    """Says "bright" of what is brighter than 100 on average; surer, the further from that."""

    def __init__(self, level: float) -> None:
        self.level = level
        self.bright = 1 / (1 + math.exp(-(level - 100) / 20))
        word = "bright" if self.bright > 0.5 else "dark"
        self.text = f"<think>so</think><answer>{word}</answer>"
        self.answer: Answer = said(word, max(self.bright, 1 - self.bright))

    def score(self, candidates: Sequence[str]) -> np.ndarray:
        chances = {"bright": self.bright, "dark": 1 - self.bright}
        return np.log([chances.get(word, 1e-9) for word in candidates])

    def prompt(self) -> Prompt:
        raise NotImplementedError


class FakeBranch:
    """By the bridge half of the picture's brightness comes through."""

    def __init__(self, image: np.ndarray, degraded: np.ndarray) -> None:
        self.image, self.degraded = image, degraded
        self.own: Reply = FakeReply(float(image.mean()))

    def replies(
        self, images: Sequence[np.ndarray | None], route: str, *, thought: str = "anew"
    ) -> list[Reply]:
        share = 0.5 if route == "bridge" else 1.0
        return [FakeReply(share * float((self.image if i is None else i).mean())) for i in images]

    def without(self) -> Reply:
        return FakeReply(float(self.degraded.mean()))

    def drawing(self, t: float, *, seed: int = 0) -> Prompt:
        raise NotImplementedError


class Branching(FakeModel):
    """Draws the image brighter; `draws` says of which images, `seen` which it was asked about."""

    def __init__(self, draws: Any = lambda image: True) -> None:
        super().__init__()
        self.draws, self.seen = draws, list[bytes]()

    def branched(
        self,
        image: np.ndarray,
        question: str,
        settings: Sampling,
        *,
        watched: bool = True,
        stop: Any = never,
    ) -> Iterator[Event | Branch]:
        go_on(stop)
        self.seen.append(image.tobytes())
        draws = settings.restore == "always" or self.draws(image)
        yield Thought("<think>dim</think>" + ("<image_restore>" if draws else "<answer>dark</answer>"))
        yield Decision(draws, 0.9)
        if not draws:
            yield Final(said("dark", 0.6))
            return
        drawn = np.clip(image.astype(int) + 100, 0, 255).astype(np.uint8)
        yield VisualState(settings.steps, settings.steps, 0.0, drawn, np.zeros((4, 2), np.float32), 1.0)
        yield Thought("<think>so</think><answer>bright</answer>")
        branch = FakeBranch(drawn, image)
        yield Final(branch.own.answer, drawn)
        yield branch
