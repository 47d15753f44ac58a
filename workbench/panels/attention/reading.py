"""What can be read off a finished result, for any token, layer, head and way: no model is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from probes.attribution.blocks import shares, value_weighted
from probes.attribution.sinks import MASSIVE, standing_out, without
from workbench.errors import Refusal
from workbench.panels.needs import known_stage

if TYPE_CHECKING:
    from pandas import DataFrame

    from workbench.runs.result import Result

Way = Literal["layer", "rollout", "flow"]
WAYS: dict[Way, str] = {"layer": "one layer", "rollout": "rollout", "flow": "flow"}
"""What is mapped, by what it is called."""
Rule = Literal["keep", "received", "massive", "norm"]
TOLD_BY: dict[Rule, str] = {
    "received": "attention received",
    "massive": "massive activations",
    "norm": "outlier norms",
}
"""By what sinks are told; `probes.attribution.sinks` has the sources."""
RULES: dict[Rule, str] = {"keep": "kept", **{rule: f"out by {name}" for rule, name in TOLD_BY.items()}}
"""What becomes of sinks, by what it is called."""
MEAN, MOST = -1, -2
"""In place of a head: the mean over heads, the largest of them."""
DRAWING = -1
"""In place of a token of the answer: the drawing while it was made."""


@dataclass(frozen=True)
class Asked:
    """What a person asks of a result, beside the layer.

    tokens: of the answer, numbers of rows of "tokens" that are kept, of which the mean is shown; () for all;
    (DRAWING,) for the drawing. view: which row of "views" is mapped. way: one of WAYS. head: of the layer,
    MEAN or MOST. weighted: whether weights count by the length of what their values add. sinks: one of
    RULES.
    """

    tokens: tuple[int, ...] = ()
    view: int = 0
    way: Way = "layer"
    head: int = MEAN
    weighted: bool = False
    sinks: Rule = "keep"


def of_image(result: Result) -> bool:
    """Whether it is of one image, and not of a collection."""
    return "layers" in result.tables


def stages_of(result: Result) -> list[str]:
    """The stages that the attending layers write, in order."""
    return [str(name) for name in result.tables["layers"]["stage"]]


def heads_of(result: Result) -> int:
    """Heads of the layer that has most."""
    return int(result.tables["layers"]["heads"].max())


def kinds_of(result: Result) -> list[str]:
    """The kinds of tokens, in the order of their numbers."""
    return [str(kind) for kind in result.tables["kinds"]["kind"]]


def ways_of(result: Result) -> list[Way]:
    """Which of WAYS the result holds."""
    return [way for way in get_args(Way) if way == "layer" or way in result.arrays]


def tokens_of(result: Result) -> list[str]:
    """The answer's kept tokens as text."""
    table = result.tables["tokens"]
    return [str(text) for text in table["text"][table["kept"]]]


def views_of(result: Result) -> list[str]:
    """The kinds of views that can be mapped, in order."""
    return [str(kind) for kind in result.tables["views"]["kind"]]


def drew(result: Result) -> bool:
    """Whether the drawing's own attention is held."""
    return "drawing_000" in result.arrays


def shape_of(result: Result, view: int) -> tuple[int, int]:
    """Rows and columns of a view."""
    row = result.tables["views"].iloc[view]
    return int(row["rows"]), int(row["cols"])


def picture_of(result: Result, view: int) -> NDArray[np.uint8]:
    """The picture that a view is of, uint8 (H, W, 3)."""
    return result.images[str(result.tables["views"]["image"].iloc[view])]


def fitting(result: Result, asked: Asked) -> Asked:
    """What is asked as far as this result holds it."""
    count = len(tokens_of(result))
    tokens = tuple(k for k in asked.tokens if 0 <= k < count or (k == DRAWING and drew(result)))
    tokens = (DRAWING,) if DRAWING in tokens else tokens
    way = asked.way if asked.way in ways_of(result) and tokens != (DRAWING,) else "layer"
    view = asked.view if asked.view < len(views_of(result)) and tokens != (DRAWING,) else 0
    head = asked.head if asked.head < heads_of(result) and way == "layer" else MEAN
    if tokens == (DRAWING,):
        return Asked(tokens, head=head)
    return replace(asked, tokens=tokens, view=view, way=way, head=head)


def row_of(result: Result, stage: str) -> int:
    """The row of "layers". Raises Refusal for a stage that no attending layer writes."""
    stages = stages_of(result)
    return stages.index(known_stage(stage, stages))


def weights(result: Result, stage: str, asked: Asked) -> NDArray[np.float64]:
    """What every token of prompt and answer is given, float64 (tokens,): shares of 1 but for flow.

    Of flow it does not depend on the stage, and is NaN but at visual tokens. Raises Refusal for a stage,
    token, head or way that the result does not hold.
    """
    at = row_of(result, stage)
    picked = _picked(result, asked)
    if asked.way != "layer":
        if asked.way not in result.arrays:
            raise Refusal(f"This run holds no {asked.way}: it was not asked for, or the prompt is too long.")
        held = np.asarray(result.arrays[asked.way], dtype=np.float64)
        rows = (held if asked.way == "flow" else held[at])[picked].mean(axis=0)
        return without(rows, sinks(result, stage, asked.sinks)) if asked.way == "rollout" else rows
    by_head = np.asarray(result.arrays[f"rows_{at:03d}"], dtype=np.float64)[:, picked]
    if asked.weighted:
        by_head = value_weighted(by_head, result.arrays[f"norms_{at:03d}"])
    by_head = without(by_head, sinks(result, stage, asked.sinks))
    return np.asarray(_fused(by_head, asked.head, stage).mean(axis=0))


def _picked(result: Result, asked: Asked) -> list[int]:
    count = len(tokens_of(result))
    picked = list(asked.tokens) or list(range(count))
    if not all(0 <= k < count for k in picked):
        raise Refusal(
            f"The attention of {count} tokens of the answer is kept; {max(picked) + 1} is none of them."
        )
    return picked


def _fused(by_head: NDArray[np.float64], head: int, stage: str) -> NDArray[np.float64]:
    """(queries, tokens) of (heads, queries, tokens)."""
    if head == MEAN:
        return by_head.mean(axis=0)
    if head == MOST:
        return by_head.max(axis=0)
    if not 0 <= head < len(by_head):
        raise Refusal(f"There are {len(by_head)} heads at {stage}; {head + 1} is none of them.")
    return by_head[head]


def values(result: Result, stage: str, asked: Asked) -> NDArray[np.float64]:
    """The map: per cent of all that is given, float64 (cells,), for each cell of the view.

    Flow is not in shares but the flow itself, in per cent of the most that a query can take.
    """
    if asked.tokens == (DRAWING,):
        return _drawing(result, stage, asked)
    found = weights(result, stage, asked)[result.arrays[f"places_{asked.view:02d}"]]
    if asked.way == "flow" and asked.sinks != "keep":
        found = np.where(flagged(result, stage, asked), np.nan, found)
    return 100 * found


def _drawing(result: Result, stage: str, asked: Asked) -> NDArray[np.float64]:
    """What the drawing gives to the image's cells."""
    if not drew(result):
        raise Refusal("Nothing was drawn in this run, so there is no drawing that attends.")
    by_head = np.asarray(result.arrays[f"drawing_{row_of(result, stage):03d}"], dtype=np.float64)[:, None]
    return 100 * _fused(by_head, asked.head, stage)[0, result.arrays["drawing_places"]]


def sinks(result: Result, stage: str, rule: Rule) -> NDArray[np.bool_]:
    """Which tokens of the prompt are sinks at a layer by a rule, bool (tokens,); none by "keep".

    Received attention and norms are compared within each kind of token, and the answer's own never count.
    """
    at, which = row_of(result, stage), np.asarray(result.arrays["kinds"], dtype=np.int64)
    out = np.zeros(len(which), dtype=bool)
    names = kinds_of(result)
    if rule == "massive":
        out = np.asarray(result.arrays["massive"][at] >= MASSIVE)
    elif rule != "keep":
        numbers = result.arrays["received" if rule == "received" else "lengths"][at]
        for kind in range(len(names)):
            own = which == kind
            if own.any():
                out[own] = standing_out(numbers[own])
    if "answer" in names:
        out = out & (which != names.index("answer"))
    return np.asarray(out)


def flagged(result: Result, stage: str, asked: Asked) -> NDArray[np.bool_]:
    """Which cells of the view are sinks, bool (cells,)."""
    return sinks(result, stage, asked.sinks)[result.arrays[f"places_{asked.view:02d}"]]


def span(asking: Sequence[tuple[Result, Asked]], stages: Sequence[str]) -> tuple[float, float]:
    """The ends of the colours of these maps together: from 0 to the largest value."""
    high = 0.0
    for result, asked in asking:
        for stage in stages:
            if stage in stages_of(result):
                high = max(high, float(np.nanmax(values(result, stage, asked), initial=0.0)))
    return 0.0, high


def share_table(result: Result, asked: Asked) -> DataFrame:
    """What of their attention the asked tokens give to each kind, tidy: stage, kind, value, low, high, n.

    Of one image `value` is the mean over heads and `low` and `high` the least and the most of a head (n: 1);
    of a collection a mean over images with its 95 % interval.
    """
    import pandas as pd

    if not of_image(result):
        return result.tables["share"]
    which, names = np.asarray(result.arrays["kinds"], dtype=np.int64), kinds_of(result)
    picked = _picked(result, replace(asked, tokens=tuple(k for k in asked.tokens if k >= 0)))
    rows = []
    for at, stage in enumerate(stages_of(result)):
        by_head = np.asarray(result.arrays[f"rows_{at:03d}"], dtype=np.float64)[:, picked]
        if asked.weighted:
            by_head = value_weighted(by_head, result.arrays[f"norms_{at:03d}"])
        by_head = without(by_head, sinks(result, stage, asked.sinks))
        told = shares(by_head, which, len(names)).mean(axis=1)
        for kind, name in enumerate(names):
            own = told[:, kind]
            rows.append(
                {
                    "stage": stage,
                    "kind": name,
                    "value": own.mean(),
                    "low": own.min(),
                    "high": own.max(),
                    "n": 1,
                }
            )
    return pd.DataFrame(rows)


def block_of(result: Result, stage: str, head: int = MEAN) -> NDArray[np.float64]:
    """Mean share of attention from each kind (rows) to each kind (columns) at a layer, float64, 0..1."""
    by_head = np.asarray(result.arrays["blocks"], dtype=np.float64)[row_of(result, stage)]
    by_head = by_head[: int(result.tables["layers"]["heads"].iloc[row_of(result, stage)])]
    return _fused(by_head, head, stage)
