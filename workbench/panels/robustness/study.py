"""Robustness: what damage costs in right answers, and what a drawing on the way gives back.

After CLEAR (arXiv 2604.04780): its corruptions at three severities, its drop from clean, its trigger rate,
its two routes of a drawing. Intervals, flips, calibration and the control without a drawing are ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench.errors import Refusal
from workbench.models.protocol import Capability, Model, never
from workbench.panels.layers.config import Progress, quiet
from workbench.panels.needs import missing
from workbench.panels.robustness.config import DIRECT, RobustnessConfig

if TYPE_CHECKING:
    from workbench.datasets.judges import Judge
    from workbench.images.read import Picture
    from workbench.runs.result import Result

STUDY = "robustness"
NEEDS = frozenset({Capability.ANSWERS})


def needs_of(config: RobustnessConfig) -> frozenset[Capability]:
    """What a model must be able to do for this config."""
    needs = set(NEEDS)
    if config.answers == "scored":
        needs.add(Capability.SCORES)
    if any(pathway != DIRECT for pathway in config.pathways):
        needs.add(Capability.INTERLEAVES)
    return frozenset(needs)


def prepared(config: RobustnessConfig, picture: Picture | None = None) -> None:
    """There is no picture of its own; a collection that is not there is refused. Raises Refusal."""
    from workbench.datasets import kind_of

    kind_of(config.data)


def run(
    config: RobustnessConfig,
    model: Model,
    *,
    picture: Picture | None = None,
    progress: Progress = quiet,
    stop: Callable[[], bool] = never,
    judge: Judge | None = None,
    judge_name: str = "",
) -> Result:
    """Ask every question in every condition by every pathway.

    Work that was ended, even by a kill, goes on where it was when the same study of the same model is run
    again; at most two seconds of answers are made again.

    The result holds the tables:

    - "accuracy": a row for each corruption, severity and pathway, for categories of corruptions and for all
      together (column "of"): share of right answers with its 95 % interval over images; "drop", clean minus
      here, and "against_direct", here minus direct, paired, with intervals; of all answers the shares that
      were right there and are wrong here ("lost_from_clean", "lost_from_direct") and the other way round
      ("gained_on_…"); the share of responses that drew ("triggered") and the mean probability of that
      decision ("restore"); seconds an answer; expected calibration error; chance; n.
    - "kinds": accuracy by kind of question. "gain": measures of drawings and how their gain goes with being
      right. "bins": those of the calibration error. "questions" and "items": each question, and what it came
      to in each cell. "data", "skipped": what the numbers rest on.

    Raises:
        Refusal: the model cannot do it, or the collection has no such questions.
        Cancelled: once `stop` says so.
    """
    if reason := missing(model.card, needs_of(config)):
        raise Refusal(reason)
    if judge is not None and config.answers == "scored":
        raise Refusal("A judge marks answers that are said freely: take generated answers with it.")
    import pandas as pd

    from workbench.panels.robustness.asking import Asking
    from workbench.panels.robustness.tables import Tables
    from workbench.runs.manifest import manifest
    from workbench.runs.result import Result

    started = time.time()
    work = Asking(config, model, progress, stop, judge, judge_name)
    items = work.ask()
    progress(0.999, "computing intervals")
    made = Tables(items, resamples=config.resamples, bins=config.bins, seed=config.seed)
    tables = {
        "accuracy": made.accuracy(),
        "kinds": made.kinds(),
        "gain": made.gains(),
        "bins": made.bins_of(),
        "questions": items.questions,
        "items": made.listed(),
        "data": _about(config, work, judge_name),
        "skipped": [{"name": each.name, "reason": each.reason} for each in work.skipped],
    }
    values = config.model_dump(mode="json")
    result = Result(
        STUDY,
        values,
        manifest(model.card, values, config.seed, {"data": work.digest}, started),
        {name: pd.DataFrame(rows) for name, rows in tables.items() if rows},
    )
    work.done()
    return result


def _about(config: RobustnessConfig, work: object, judge_name: str) -> list[dict[str, str]]:
    """What the numbers rest on, in words."""
    from workbench.datasets.asking import notes_of_all
    from workbench.models.together import SideBySide
    from workbench.panels.robustness.asking import Asking

    assert isinstance(work, Asking)
    drawing = any(pathway != DIRECT for pathway in config.pathways)
    rows = [
        ("collection", work.data.title),
        ("fingerprint", work.data.fingerprint),
        ("images", f"{work.seen:,}"),
        ("questions", f"{len(work.items.questions):,}"),
        ("pixel sizes of corruptions", config.pixels),
        ("answers", config.answers),
        ("skipped", f"{len(work.skipped):,}"),
    ]
    if work.unasked:
        rows.append(("note", f"{work.unasked:,} images had no question that could be asked so."))
    if judge_name:
        rows.append(("judge", judge_name))
    if drawing and config.answers == "scored" and not isinstance(work.model, SideBySide):
        rows.append(
            ("note", "Responses with a drawing were said freely and matched: this model scores none.")
        )
    return [
        {"what": what, "value": value}
        for what, value in (*rows, *(("note", n) for n in notes_of_all(work.data)))
    ]
