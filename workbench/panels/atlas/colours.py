"""What the points of an atlas are coloured by, the same on the screen and on paper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.panels.layers.marks import ON_DARK, Theme
from workbench.runs.export import OKABE_ITO

if TYPE_CHECKING:
    from pandas import DataFrame

    from workbench.runs.result import Result

SHAPES = ("circle", "square", "diamond", "triangle-up")
"""Plotly's names of markers: with eight colours they tell 32 groups apart."""
MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^"}
"""The same for matplotlib."""
GREY = {"light": "#9a9aa2", "dark": "#7d7d86"}
NONE = "unknown"
OTHERS = "others"
WORDS = {
    "class": "class",
    "label": "image label",
    "stage": "layer",
    "condition": "condition",
    "image": "image",
    "object": "object",
    "row": "row",
    "col": "column",
}
"""What can be coloured by: a column of the points, and what it is called."""
GRADUAL = ("row", "col")


@dataclass(frozen=True)
class Group:
    """Points of one colour and shape; ``rank`` None is grey."""

    name: str
    rank: int | None

    def colour(self, theme: Theme) -> str:
        """As hexadecimal digits."""
        if self.rank is None:
            return GREY[theme]
        palette = ON_DARK if theme == "dark" else OKABE_ITO
        return palette[self.rank % len(palette)]

    @property
    def shape(self) -> str:
        """Out of ``SHAPES``."""
        return SHAPES[0 if self.rank is None else self.rank // len(OKABE_ITO) % len(SHAPES)]


def choices(results: Sequence[Result]) -> list[str]:
    """The columns that tell points of these results apart, the one to begin with first."""
    tables = [result.tables["points"] for result in results]

    def values(column: str) -> set[object]:
        return {value for t in tables if column in t.columns for value in t[column].dropna().unique()}

    found = [
        "class" * (len(values("class")) > 1),
        "label" * (len(values("label")) > 1),
        "condition" * (len(values("condition")) > 1),
        "image" * (len(values("image")) > 1),
        "object" * (len(values("image")) == 1 and len(values("object") - {-1}) > 1),
        "stage" * (len(values("stage")) > 1),
        "row",
        "col",
    ]
    return [name for name in found if name]


LACKS = {
    "class": "no two classes of patches are known: these images come without masks",
    "label": "no two labels of images are known",
    "condition": "there is one condition",
    "image": "there is one image",
    "object": "objects are told apart in one drawn scene alone, by its masks",
    "stage": "there is one layer",
}
"""Why tokens cannot be coloured by something."""


def instead(results: Sequence[Result], column: str) -> tuple[str, str]:
    """What these are coloured by where `column` is asked for, and a sentence where that is something else."""
    able = choices(results)
    if not column or column in able:
        return column or able[0], ""
    why = LACKS.get(column, f"{column!r} is not known of them")
    return able[0], f"Coloured by {WORDS[able[0]]}, not by {WORDS.get(column, column)}: {why}."


def names(points: DataFrame, column: str) -> list[str]:
    """For each point the name of its group."""
    if column == "object":
        number = points["object"]
        return ["background" if k == 0 else f"object {k}" if k > 0 else NONE for k in number]
    if column not in points:  # "label", of a run from before it was kept
        return [NONE] * len(points)
    return [value if isinstance(value, str) else NONE for value in points[column]]


def groups(results: Sequence[Result], column: str) -> list[Group]:
    """The groups of all these results: the commonest first, stages and conditions in their order.

    Beyond the 32 that colours and shapes tell apart, the rest are grey.
    """
    counted: Counter[str] = Counter()
    for result in results:
        counted.update(names(result.tables["points"], column))
    unknown = counted.pop(NONE, 0)
    ordered = (
        list(counted) if column in ("stage", "condition") else [name for name, _ in counted.most_common()]
    )
    most = len(OKABE_ITO) * len(SHAPES)
    found = [Group(name, rank) for rank, name in enumerate(ordered[:most])]
    found += [Group(OTHERS, None)] if len(ordered) > most else []
    return found + ([Group(NONE, None)] if unknown else [])


def members(points: DataFrame, column: str, all_groups: Sequence[Group]) -> list[tuple[Group, np.ndarray]]:
    """Which points, bool (n,), are in each group that has any, greys first: they lie lowest."""
    here = np.array(names(points, column), dtype=object)
    named = {group.name for group in all_groups}
    here[[name not in named for name in here]] = OTHERS
    found = [(group, here == group.name) for group in all_groups]
    return sorted(
        ((group, inside) for group, inside in found if inside.any()),
        key=lambda pair: pair[0].rank is not None,
    )


def span(results: Sequence[Result], column: str) -> tuple[float, float]:
    """Lowest and highest value of a gradual column."""
    values = np.concatenate([result.tables["points"][column].to_numpy(np.float64) for result in results])
    return float(values.min()), float(max(values.max(), values.min() + 1))
