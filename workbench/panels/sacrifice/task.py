"""How often a model's likeliest answer is right: teacher-forced over the candidates of each question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from probes.bootstrap import mean_score
from workbench.datasets.batches import squared
from workbench.datasets.collection import Asked, Collection, Sample, Skipped
from workbench.errors import Refusal
from workbench.models.protocol import Model
from workbench.panels.layers.table import Row, go_on

if TYPE_CHECKING:
    from workbench.panels.layers.config import Progress
    from workbench.panels.sacrifice.config import SacrificeConfig

ALL = "all"
CHUNK = 256
"""Images that are held at once, so that those that are asked the same find each other."""


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
    """Ask about the first `config.n_asked` images of the test split.

    Only questions with candidates are asked, up to `config.each` about an image, drawn with the seed. Images
    that are asked the same run together, up to `config.batch` at once.

    Raises:
        Refusal: none of the images comes with such a question.
        Cancelled: once `stop` says so.
    """
    total, out = min(config.n_asked, data.count("test")), list[Marked]()
    for start in range(0, total, CHUNK):
        some = list(_read(data, start, min(start + CHUNK, total), config.square))
        for each in _ask(model, some, start, config, stop):
            progress(start / total, f"asking questions, {len(out):,} so far")
            out += each
    if not out:
        raise Refusal(
            f"{data.title} brings no questions with answers to choose from. Choose the bundled scenes, or a "
            "benchmark with choices in VLMEvalKit's TSV."
        )
    return out


def _read(data: Collection, start: int, stop: int, side: int) -> Iterator[Sample]:
    for sample in data.read("test", start, stop):
        if not isinstance(sample, Skipped):
            yield squared(sample, side) if side else sample


def _ask(
    model: Model, samples: list[Sample], first: int, config: SacrificeConfig, stop: Callable[[], bool]
) -> Iterator[list[Marked]]:
    """The marked questions of each pass."""
    same: dict[tuple[object, ...], list[tuple[int, Asked]]] = defaultdict(list)
    for number, sample in enumerate(samples):
        options = [asked for asked in sample.asked if asked.answer in asked.candidates]
        rng = np.random.default_rng((config.seed, sample.seed))
        for k in rng.permutation(len(options))[: config.each]:
            chosen = options[k]
            same[chosen.text, chosen.candidates, sample.pixels.shape].append((number, chosen))
    for group in same.values():
        for start in range(0, len(group), config.batch):
            go_on(stop)
            some = group[start : start + config.batch]
            question = some[0][1]
            prompt = model.prepare([samples[number].pixels for number, _ in some], question.text)
            best = model.score(prompt, question.candidates).argmax(axis=1)
            yield [
                Marked(first + number, asked, asked.candidates[choice] == asked.answer)
                for (number, asked), choice in zip(some, best, strict=True)
            ]


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
        score = mean_score(shares, resamples=resamples, seed=seed)
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
