"""Results of several checkpoints as points and correlations: what the scatter and its table are made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from probes.correlation import Correlation, pearson, spearman
from workbench.errors import Refusal
from workbench.panels.layers.table import REFERENCE
from workbench.panels.sacrifice.task import ALL

if TYPE_CHECKING:
    from pandas import DataFrame

    from workbench.runs.result import Result

Named = tuple[str, "Result"]
"""A checkpoint's result with its name."""


def points(many: Sequence[Named], measure: str = "") -> DataFrame:
    """A row for each checkpoint and language stage: task accuracy and one reader's value, with intervals.

    `measure`: a name out of the results' curves; by default their first reader's accuracy.

    Raises:
        Refusal: a result lacks the measure.
    """
    import pandas as pd

    rows = []
    for place, (name, result) in enumerate(many):
        curves, task = result.tables["curves"], result.tables["task"]
        chosen = measure or str(curves["measure"].iloc[0])
        here = curves[(curves["measure"] == chosen) & (curves["band"] == "llm")].sort_values("index")
        if not len(here):
            known = ", ".join(dict.fromkeys(curves["measure"]))
            raise Refusal(
                f"{name or 'This result'} holds no {chosen!r} of the language model; it has {known}."
            )
        answers = task[task["kind"] == ALL].iloc[0]
        for row in here.to_dict("records"):
            rows.append(
                {
                    "checkpoint": name,
                    "place": place,
                    "stage": row["stage"],
                    "index": row["index"],
                    "measure": chosen,
                    "task": answers["value"],
                    "task low": answers["low"],
                    "task high": answers["high"],
                    "task chance": answers["chance"],
                    "task n": int(answers["n"]),
                    "reader": row["value"],
                    "reader low": row["low"],
                    "reader high": row["high"],
                    "reader n": int(row["n"]),
                }
            )
    return pd.DataFrame(rows)


def measures_in(many: Sequence[Named]) -> list[str]:
    """The measures of the language model that all of these results hold, in the order of the first."""
    held = []
    for _, result in many:
        curves = result.tables["curves"]
        held.append(list(dict.fromkeys(curves.loc[curves["band"] == "llm", "measure"])))
    return [name for name in held[0] if all(name in names for names in held)]


def stages_in(many: Sequence[Named]) -> list[str]:
    """The language stages that all of these results have, in order."""
    return common_stages(points(many))


def common_stages(drawn: DataFrame) -> list[str]:
    """The same of their points."""
    counts = drawn.groupby("stage", sort=False)["checkpoint"].count()
    return [str(stage) for stage, count in counts.items() if count == drawn["place"].nunique()]


def shown_stages(drawn: DataFrame, chosen: Sequence[str] = ()) -> list[str]:
    """The stages to draw: "llm 0", the one in the middle (where PRe taps) and the last, or those chosen.

    Raises:
        Refusal: one is not held by every checkpoint.
    """
    common = common_stages(drawn)
    for stage in chosen:
        if stage not in common:
            raise Refusal(f"Not every checkpoint has a stage {stage!r}; all have {', '.join(common)}.")
    if chosen:
        return list(chosen)
    if REFERENCE not in common:
        raise Refusal(f"Not every checkpoint has {REFERENCE}: a scatter shows checkpoints of one training.")
    return list(dict.fromkeys((REFERENCE, common[len(common) // 2], common[-1])))


def correlations(drawn: DataFrame, stages: Sequence[str]) -> dict[str, tuple[Correlation, Correlation]]:
    """Pearson's and Spearman's coefficient of task and reader over the checkpoints, by stage."""
    out = {}
    for stage in stages:
        here = drawn[drawn["stage"] == stage]
        out[stage] = (pearson(here["task"], here["reader"]), spearman(here["task"], here["reader"]))
    return out
