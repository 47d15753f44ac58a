"""How often a model's likeliest answer is right: teacher-forced over the candidates of each question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from probes.bootstrap import mean_score, share
from workbench.datasets.asking import closed, read_some, some_of
from workbench.datasets.collection import Asked, Collection, Skipped
from workbench.errors import Refusal
from workbench.models.protocol import Model
from workbench.models.together import Posed, scores
from workbench.panels.layers.table import Row

if TYPE_CHECKING:
    from workbench.panels.layers.config import Progress
    from workbench.panels.sacrifice.config import SacrificeConfig

ALL = "all"
CHUNK = 256
"""Images that are held at once, so that those of one size, or asked the same, find each other."""


@dataclass(frozen=True)
class Marked:
    """A question about the image of a number, and whether the likeliest of its candidates is the answer."""

    image: int
    question: Asked
    right: bool


def marked(
    model: Model,
    data: Collection,
    config: SacrificeConfig,
    progress: Progress,
    stop: Callable[[], bool],
) -> list[Marked]:
    """Ask about the first `config.n_asked` of the images that the readers are scored on.

    Only questions with candidates are asked, up to `config.each` about an image, drawn with the seed;
    `config.batch` images run at once.

    Raises:
        Refusal: none of the images comes with such a question.
        Cancelled: once `stop` says so.
    """
    total, out = min(config.n_asked, config.n_test, data.count("test")), list[Marked]()
    for start in range(0, total, CHUNK):
        progress(start / total, f"asking questions, {len(out):,} so far")
        read = read_some(data, ("test",), start, min(start + CHUNK, total), config.square)
        samples = [sample for sample in read if not isinstance(sample, Skipped)]
        asked = [
            (number, each)
            for number, sample in enumerate(samples)
            for each in some_of(sample, config.each, config.seed, closed)
        ]
        posed = [Posed(number, each.text, each.candidates) for number, each in asked]
        found = scores(model, [s.pixels for s in samples], posed, batch=config.batch, stop=stop)
        out += [
            Marked(start + number, each, each.candidates[int(values.argmax())] == each.answer)
            for (number, each), values in zip(asked, found, strict=True)
        ]
    if not out:
        raise Refusal(
            f"{data.title} brings no questions with answers to choose from. Choose the bundled scenes, or a "
            "benchmark with choices in VLMEvalKit's TSV."
        )
    return out


def task_rows(answers: list[Marked], *, resamples: int, seed: int) -> list[Row]:
    """A row for all questions and for each kind: share of right answers, interval over images, chance.

    An image counts by the mean of its own questions, so that images and not questions are resampled. Chance
    is what a blind choice among the candidates gives.
    """
    kinds = [kind for kind in dict.fromkeys(each.question.kind for each in answers) if kind]
    rows: list[Row] = []
    for kind in (ALL, *sorted(kinds)):
        here = [each for each in answers if kind in (ALL, each.question.kind)]
        by_image: dict[int, list[bool]] = defaultdict(list)
        for each in here:
            by_image[each.image].append(each.right)
        shares = [float(np.mean(by_image[image])) for image in sorted(by_image)]
        score = share(mean_score(shares, resamples=resamples, seed=seed))
        rows.append(
            {
                "kind": kind,
                "value": score.value,
                "low": score.low,
                "high": score.high,
                "chance": float(np.mean([1 / len(each.question.candidates) for each in here])),
                "questions": len(here),
                "n": score.n,
                "of": "images",
            }
        )
    return rows
