"""Two results beside one another: CKA of their stages, of two checkpoints or of one in two conditions.

Rows of the two belong together where they are of the same image, told by its pixels before any corruption.
They are single tokens where all of these images stand on equal grids in both results, so that a row is the
same cell of an image; else they are images, by the mean of their tokens. That rule is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from probes.alignment import LEAST_ROWS, BlockCKA, block_cka
from probes.bootstrap import Score
from workbench.errors import Refusal
from workbench.models.protocol import Stage
from workbench.panels.layers.measures import BETWEEN, WITH_FIRST
from workbench.panels.layers.table import UNKNOWN, Row, curve

if TYPE_CHECKING:
    from pandas import DataFrame

    from workbench.runs.result import Result

Named = tuple[str, "Result"]
KEPT = "compared"
"""The table that a result has where it can be compared with another."""


@dataclass(frozen=True)
class Alike:
    """CKA of every stage of one result with every stage of another.

    level: "tokens" or "images". images: how many they have in common. first, second: the stages, in the order
    of the axes of `cka`.
    """

    level: str
    images: int
    first: tuple[str, ...]
    second: tuple[str, ...]
    cka: BlockCKA

    @property
    def of(self) -> str:
        """What n counts."""
        return f"image{'s' * (self.images != 1)}, by {'tokens' if self.level == 'tokens' else 'mean tokens'}"


def comparable(first: Result, second: Result) -> bool:
    """Whether the two keep rows of the same images."""
    try:
        _common(first, second)
    except Refusal:
        return False
    return True


def alike(first: Result, second: Result) -> Alike:
    """How alike the stages of two results are.

    Raises Refusal where they keep nothing to compare, or are not of the same images.
    """
    places, level = _common(first, second)
    a, b = (result.arrays[f"gram_{level}"] for result in (first, second))
    blocks = min(a.shape[1], b.shape[1])
    of = first.arrays[f"gram_{level}_of"][:blocks]
    known = np.isin(of, places)
    rows, pairs = np.triu_indices(of.shape[1], 1)
    missing = ~(known[:, rows] & known[:, pairs])
    grams, names = [], []
    for result, kept in ((first, a), (second, b)):
        kept = np.where(missing, np.nan, kept[:, :blocks])
        there = np.isfinite(kept).any(axis=(1, 2))
        grams.append(kept[there])
        names.append(tuple(np.array(result.tables["stages"]["stage"], dtype=object)[there].tolist()))
    images = len(np.unique(of[known]))
    return Alike(level, images, names[0], names[1], block_cka(*grams))


def _common(first: Result, second: Result) -> tuple[np.ndarray, str]:
    """The places of the images that both keep rows of, and whether as tokens or as means."""
    for result in (first, second):
        if KEPT not in result.tables:
            raise Refusal(
                "One of these results kept nothing to be compared with: measure it again, with “likeness” "
                "among the measures."
            )
    if bool(first.config["image"]) != bool(second.config["image"]):
        raise Refusal("One picture and a collection are not compared: look at the same images in both.")
    both = first.tables[KEPT].merge(second.tables[KEPT], on=["place", "image"], suffixes=("", "_b"))
    grids = (both["rows"] == both["rows_b"]) & (both["cols"] == both["cols_b"])
    level = "tokens" if grids.all() else "images"
    arrays = [result.arrays.get(f"gram_{level}") for result in (first, second)]
    if len(both) and any(array is None for array in arrays):
        raise Refusal(
            "The two cut this picture into different grids, and one picture leaves only its tokens to "
            "compare: look at a collection."
        )
    if not len(both) or (level == "images" and len(both) < LEAST_ROWS):
        raise Refusal("These results are not of the same images: CKA asks for the same ones in both.")
    return both["place"].to_numpy(), level


def against_first(many: Sequence[Named]) -> list[Named]:
    """Results with one measure each: CKA of a stage with the same stage of the first, by the stages' names.

    Those that cannot be compared with it are left out. Raises Refusal where none can.
    """
    import pandas as pd

    found = []
    for name, result in comparisons(many):
        both = alike(many[0][1], result)
        table = result.tables["stages"]
        stages = [Stage(row["stage"], row["band"], row["index"]) for row in table.to_dict("records")]
        scores: list[Score | None] = [
            both.cka.score(
                both.first.index(stage.name),
                both.second.index(stage.name),
                both.images,
                resamples=int(result.config["resamples"]),
                seed=int(result.config["seed"]),
            )
            if stage.name in both.first and stage.name in both.second
            else None
            for stage in stages
        ]
        curves: list[Row] = curve(WITH_FIRST, stages, scores, both.of, [UNKNOWN] * len(stages))
        tables = {"curves": pd.DataFrame(curves), "stages": table}
        found.append((name, type(result)(result.study, result.config, result.manifest, tables)))
    return found


def comparisons(many: Sequence[Named]) -> list[Named]:
    """The results after the first that can be compared with it. Raises Refusal, with the reason, without."""
    if len(many) < 2:
        raise Refusal(f"The curves {BETWEEN} ask for two results of the same images, or more.")
    found = [(name, result) for name, result in many[1:] if comparable(many[0][1], result)]
    if not found:
        _common(many[0][1], many[1][1])
    return found


def matrix(many: Sequence[Named]) -> tuple[str, str, Alike]:
    """The first of these results and the next one that compares with it: names, and CKA of all stages."""
    name, result = comparisons(many)[0]
    return many[0][0], name, alike(many[0][1], result)


def matrix_table(found: Alike) -> DataFrame:
    """Tidy: a row for every two stages."""
    import pandas as pd

    rows = [
        {"stage": a, "other": b, "cka": float(value), "n": found.images, "of": found.of}
        for a, line in zip(found.first, found.cka.value, strict=True)
        for b, value in zip(found.second, line, strict=True)
    ]
    return pd.DataFrame(rows)
