"""Questions about the probe set's scenes: what a model's answers are measured on, beside its readers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.datasets.scenes import FIRST_SEED
from workbench.images.scene_language import Question, questions
from workbench.images.scenes import Split, generate


@dataclass(frozen=True)
class Asked:
    """Scenes with questions about them: images uint8 (N, S, S, 3), for each a list of questions."""

    images: NDArray[np.uint8]
    questions: list[list[Question]]


def ask(split: Split, count: int, *, each: int, seed: int = 0) -> Asked:
    """Up to `each` questions about each of the first `count` scenes of a split of the probe set.

    They are of different kinds, drawn with the seed; a scene is asked only what its picture answers.
    """
    scenes = generate(FIRST_SEED + np.arange(count), split)
    asked = []
    for i in range(count):
        rng = np.random.default_rng((seed, i))
        options = questions(scenes, i, rng)
        asked.append([options[k] for k in rng.permutation(len(options))[:each]])
    return Asked(scenes.images, asked)
