"""How often a model's likeliest answer is right: teacher-forced over the candidates of each question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from probes.bootstrap import mean_score
from workbench.datasets.questions import Asked
from workbench.images.scene_language import KINDS
from workbench.models.protocol import Model
from workbench.panels.layers.table import Row, go_on

if TYPE_CHECKING:
    from workbench.panels.layers.config import Progress

ALL = "all"


def right_answers(
    model: Model, asked: Asked, *, batch: int, progress: Progress, stop: Callable[[], bool]
) -> list[list[bool]]:
    """For each scene and question, whether the right candidate has the highest log-probability.

    Scenes that are asked the same run together, up to `batch` at once. Raises Cancelled once `stop` says so.
    """
    right = [[False] * len(row) for row in asked.questions]
    same: dict[tuple[str, tuple[str, ...]], list[tuple[int, int]]] = defaultdict(list)
    for scene, row in enumerate(asked.questions):
        for number, question in enumerate(row):
            same[question.text, question.candidates].append((scene, number))
    total, done = sum(map(len, right)), 0
    for (text, candidates), places in same.items():
        for first in range(0, len(places), batch):
            go_on(stop)
            progress(done / max(total, 1), f"asking questions, {done:,} of {total:,}")
            some = places[first : first + batch]
            scores = model.score(model.prepare([asked.images[i] for i, _ in some], text), candidates)
            for (scene, number), best in zip(some, scores.argmax(axis=1), strict=True):
                right[scene][number] = candidates[best] == asked.questions[scene][number].answer
            done += len(some)
    return right


def task_rows(asked: Asked, right: Sequence[Sequence[bool]], *, resamples: int, seed: int) -> list[Row]:
    """A row for all questions and for each kind: share of right answers, interval over scenes, chance.

    A scene counts by the mean of its own questions, so that scenes and not questions are resampled. Chance is
    what a blind choice among the candidates gives.
    """
    rows: list[Row] = []
    for kind in (ALL, *KINDS):
        shares, blind, count = [], [], 0
        for questions, flags in zip(asked.questions, right, strict=True):
            here = [flag for q, flag in zip(questions, flags, strict=True) if kind in (ALL, q.kind)]
            shares.append(float(np.mean(here)) if here else np.nan)
            blind += [1 / len(q.candidates) for q in questions if kind in (ALL, q.kind)]
            count += len(here)
        if count:
            score = mean_score(shares, resamples=resamples, seed=seed)
            rows.append(
                {
                    "kind": kind,
                    "value": score.value,
                    "low": score.low,
                    "high": score.high,
                    "chance": float(np.mean(blind)),
                    "questions": count,
                    "n": score.n,
                    "of": "scenes",
                }
            )
    return rows
