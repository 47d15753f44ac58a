"""A model that knows some answers, for the robustness study and for a process of it that is killed."""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.capture.fake import FakeModel
from workbench.models.protocol import (
    Answer,
    Capability,
    Decision,
    Event,
    Final,
    Prompt,
    Sampling,
    VisualState,
    never,
)
from workbench.panels.robustness.config import RobustnessConfig

SMALL = RobustnessConfig(
    corruptions=("dark_illumination", "gaussian_noise"),
    severities=(0.45, 0.9),
    n_images=40,
    each=2,
    resamples=100,
    batch=8,
)
DRAWING = SMALL.model_copy(update={"pathways": ("direct", "in context", "re-encode"), "n_images": 6})


class Guessing(FakeModel):
    """Answers and whether it draws depend on pixels and question alone; a drawing is brighter."""

    def __init__(self, delay: float = 0.0) -> None:
        super().__init__(side=12, width=16)
        self.delay, self.calls = delay, 0
        more = {Capability.SCORES, Capability.ANSWERS, Capability.INTERLEAVES}
        self.card = replace(self.card, capabilities=self.card.capabilities | more)

    def _seed(self, image: np.ndarray, text: str) -> int:
        return zlib.crc32(image.tobytes() + text.encode())

    def score(self, prompt: Prompt, candidates: Sequence[str]) -> np.ndarray:
        self.calls += 1
        time.sleep(self.delay)
        rows = [self._seed(image, prompt.text) for image in prompt.images]
        return np.array([np.random.default_rng(seed).normal(size=len(candidates)) for seed in rows])

    def answer(
        self, prompt: Prompt, *, max_new_tokens: int = 16, stop: Callable[[], bool] = never
    ) -> list[Answer]:
        words = ("red", "blue", "yes", "no", "two")
        rows = [self._seed(image, prompt.text) for image in prompt.images]
        return [Answer(words[seed % len(words)], (), -0.5) for seed in rows]

    def respond(
        self, image: np.ndarray, question: str, settings: Sampling, *, stop: Callable[[], bool] = never
    ) -> Iterator[Event]:
        self.calls += 1
        time.sleep(self.delay)
        seed = self._seed(image, question)
        draws = settings.restore == "always" or (settings.restore == "auto" and seed % 3 == 0)
        yield Decision(draws, 0.9 if seed % 3 == 0 else 0.1)
        drawn = np.clip(image.astype(int) + 20 + settings.seed % 5, 0, 255).astype(np.uint8)
        if draws:
            yield VisualState(1, 1, 0.0, drawn, np.zeros((1, 1), np.float32), 1.0)
        said = ("red", "blue", "yes", "no", "two")[(seed + draws) % 5]
        yield Final(Answer(said, (), -0.3), drawn if draws else None)


def main() -> None:
    """Run a small study slowly, to be killed; its result goes to the folder that is named."""
    from workbench.panels.robustness.study import run
    from workbench.runs.store import save

    save(run(SMALL, Guessing(delay=0.01)), Path(sys.argv[1]))


if __name__ == "__main__":
    main()
