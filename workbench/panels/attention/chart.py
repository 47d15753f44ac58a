"""Shares of attention over the layers: what screen and paper both draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import Refusal
from workbench.panels.attention.kinds import ANSWER, IMAGE, TEXT
from workbench.panels.attention.reading import Asked, fitting, of_image, share_table

if TYPE_CHECKING:
    from pandas import DataFrame

    from workbench.runs.result import Result

Named = tuple[str, "Result"]
"""A result with its name."""


@dataclass(frozen=True)
class Curve:
    """One kind of token of one result: per cent, float64 (stages,), with the ends of its band."""

    label: str
    kind: str
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Chart:
    """The stages along the axis, the curves over them, and what the bands are."""

    stages: tuple[str, ...]
    curves: tuple[Curve, ...]
    band: str


def chart(many: Sequence[Named], asked: Asked | None = None, kind: str = "") -> Chart:
    """Of one result a curve for each kind of token; of several one each, of one kind.

    kind: by default all of one result, and the image of several.

    Raises:
        Refusal: a result has no token of the kind, or one is of an image and another of a collection.
    """
    wanted = asked or Asked()
    tables = [(name, _table(result, wanted)) for name, result in many]
    if len({of_image(result) for _, result in many}) > 1:
        raise Refusal(
            "One of these is of one image and another of a collection, so their bands tell different things. "
            "Compare results of one sort."
        )
    stages = tuple(dict.fromkeys(stage for _, table in tables for stage in table["stage"]))
    several = len(many) > 1
    curves = []
    for name, table in tables:
        for own in [kind or IMAGE] if several or kind else _kinds(table):
            rows = table[table["kind"] == own].set_index("stage").reindex(list(stages))
            if rows["value"].isna().all():
                has = ", ".join(_kinds(table))
                raise Refusal(f"{name or 'This result'} has no {own!r} to attend to; it has {has}.")
            numbers = (100 * rows[column].to_numpy(float) for column in ("value", "low", "high"))
            curves.append(Curve(name if several else own, own, *numbers))
    n = int(tables[0][1]["n"].max())
    band = (
        "least and most of a head; n = 1 image"
        if of_image(many[0][1])
        else f"95 % interval; n = {n:,} images"
    )
    return Chart(stages, tuple(curves), band)


def _table(result: Result, wanted: Asked) -> DataFrame:
    return share_table(result, fitting(result, wanted) if of_image(result) else wanted)


def _kinds(table: DataFrame) -> list[str]:
    """The kinds in a table, those of images first and the answer's own last."""
    found = list(dict.fromkeys(table["kind"]))
    return sorted(found, key=lambda kind: (kind == ANSWER, kind == TEXT, found.index(kind)))
