"""Sacrifice: one checkpoint's answers beside what linear readers find in its layers.

One result is one point; results of several checkpoints of a training make the scatter in which PRe (arXiv
2603.20808) sees task and readers go opposite ways. Which task, readers and layer the paper takes is not known
to us: the likeliest of a question's answers and the readers of the layers study are our operationalisation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench.errors import Refusal
from workbench.models.protocol import Capability, Model, never
from workbench.panels.layers.config import Progress, quiet
from workbench.panels.needs import missing
from workbench.panels.sacrifice.config import SacrificeConfig

if TYPE_CHECKING:
    from workbench.images.read import Picture
    from workbench.runs.result import Result

STUDY = "sacrifice"
NEEDS = frozenset({Capability.HIDDEN_STATES, Capability.SCORES})
ASKING = 0.2
"""Share of the bar that the questions take."""


def prepared(config: SacrificeConfig, picture: Picture | None = None) -> None:
    """There is no picture of its own: the study asks a collection."""


def run(
    config: SacrificeConfig,
    model: Model,
    *,
    picture: Picture | None = None,
    progress: Progress = quiet,
    stop: Callable[[], bool] = never,
) -> Result:
    """Measure readers and answers of one checkpoint.

    The result holds the tables of a layers study ("curves", "classes", "stages") and "task": the share of
    right answers to all questions and to each kind, with its 95 % interval over images, chance and n.

    Raises:
        Refusal: the model shows no hidden states or scores no answers, or the collection has no questions
            with answers to choose from.
        Cancelled: once `stop` says so.
    """
    if reason := missing(model.card, NEEDS):
        raise Refusal(reason)
    import pandas as pd

    from workbench.datasets import open_collection
    from workbench.panels.layers import probe_set
    from workbench.panels.sacrifice.task import marked, task_rows
    from workbench.runs.manifest import manifest
    from workbench.runs.result import Result

    started = time.time()
    # Asked first: it takes less, and a collection without questions is refused before the readers' passes.
    answers = marked(
        model,
        open_collection(config.data),
        config,
        lambda share, words: progress(ASKING * share, words),
        stop,
    )
    found = probe_set.measure(
        config.of_readers(),
        model,
        lambda share, words: progress(ASKING + (1 - ASKING) * share, words),
        stop,
    )
    rows = task_rows(answers, resamples=config.resamples, seed=config.seed)
    values = config.model_dump(mode="json")
    tables = {name: pd.DataFrame(table) for name, table in (found.tables | {"task": rows}).items()}
    return Result(STUDY, values, manifest(model.card, values, config.seed, found.saw, started), tables)
