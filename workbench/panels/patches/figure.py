"""A patch on paper: the picture, maps over the stages, and what the lens reads at the patch beneath."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal

import numpy as np

from workbench.panels.needs import known_stage
from workbench.panels.patches.ladder import Rung, ladder, numbers, visible
from workbench.panels.patches.maps import map_image, picture_image, same_place
from workbench.panels.patches.quantities import (
    NORM,
    SIMILARITY,
    UNITS,
    WORD,
    Asked,
    chance,
    patch_in,
    queries_of,
    shown_stages,
    span,
    stages_of,
    told,
    values,
    word_at,
    words_of,
)
from workbench.runs.export import PAGE
from workbench.runs.parts import LETTER, Box, composed, lettered

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.runs.result import Result

Named = tuple[str, "Result"]
Scale = Literal["one", "each"]

MAPS = 5
LEFT, RIGHT, SIDE = 0.22, 0.75, 0.92
"""Inches: room before the pictures and for the scale after them; the longer side of a picture."""
TITLE, LINE, BETWEEN = 0.20, 0.125, 0.10
"""Inches: height of a stage's name, of a line beneath a map, and between two results."""
READ = 3
"""Tokens beneath a map."""
LONGEST = 7
"""Characters of a token."""


def paper(
    results: Result | Sequence[Named], asked: Asked | None = None, *, stage: str | None = None
) -> Figure:
    """The picture with the patch outlined and a row of maps, 6.75 in wide; a row for each result.

    Beneath a map stand the likeliest tokens of the lens at the patch, and, where each map has a scale of its
    own, the values at the ends of its colours; see `Maps`.

    Args:
        results: one result, or (name, result) pairs; the patch is that of the first, and the one that lies
            at its place in the others.
        asked: the patch and what is mapped; by default the first patch's similarity to all others.
        stage: a stage that shall be among the maps; by default five over the axis.

    Raises:
        Refusal: where there is no map of the stage, or the result does not hold what is asked.
    """
    many = list(results) if isinstance(results, Sequence) else [("", results)]
    return composed([Maps(many, asked, stage=stage)], PAGE)


class Maps:
    """The same as a part of a figure: one letter for all rows, or one for each where it stands alone."""

    wide = True
    beside = 0.0

    def __init__(
        self,
        many: Sequence[Named],
        asked: Asked | None = None,
        *,
        stage: str | None = None,
        lens: bool = True,
        scale: Scale | None = None,
    ) -> None:
        """As `paper`; `lens`: whether its likeliest tokens stand beneath the maps, where it was read.

        `scale`: "one" for all maps, so that a stage's colours are another's, or "each" its own, which the
        figure then says. By default norms, which grow by orders of magnitude, have their own.
        """
        first = many[0][1]
        wanted = asked or Asked(patch_in(first, None))
        if stage is not None:
            known_stage(stage, stages_of(first))
        self.stage, self.lens = stage, lens
        self.one = (scale or ("each" if wanted.show == NORM else "one")) == "one"
        self.blocks = [(name, result, asked_of(first, wanted, result)) for name, result in many]

    def height(self, width: float) -> float:
        """Inches: one row below the other."""
        return sum(self._heights())

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw them at their place."""
        letters = [letter] if letter else lettered(len(self.blocks))
        everything = [(result, own) for _, result, own in self.blocks]
        shown = [_stages(result, own, self.stage) for result, own in everything]
        every = list(dict.fromkeys(name for names in shown for name in names))
        ends = {name: span(everything, every if self.one else [name]) for name in every}
        down = 0.0
        rows = zip_longest(self.blocks, self._heights(), shown, letters)
        for (name, result, own), height, stages, here in rows:
            at = Box(box.left, box.top + down, box.width, height)
            at.letter(figure, here or "")
            if self._named:
                at.text(figure, LEFT, LETTER, name)
            bottom = figure.get_figheight() - at.top - self._named - TITLE - SIDE
            rungs = {rung.stage: rung for rung in ladder(result, own)} if self.lens else {}
            of_stages = {name: ends[name] for name in stages}
            _row(figure, result, own, of_stages, bottom, self.one, rungs)
            down += height

    def numbers(self) -> DataFrame:
        """Everything that is known, a row for each result, stage and patch; see `ladder.numbers`."""
        import pandas as pd

        tables = [(name, numbers(result, own)) for name, result, own in self.blocks]
        return pd.concat(
            [table.assign(run=name)[["run", *table.columns]] for name, table in tables], ignore_index=True
        )

    @property
    def _named(self) -> float:
        """Inches above a row for the name of its result."""
        return TITLE if len(self.blocks) > 1 else 0.0

    def _heights(self) -> list[float]:
        read = [READ * (self.lens and "lens_ids" in result.arrays) for _, result, _ in self.blocks]
        beneath = [lines + (not self.one) for lines in read]
        return [self._named + TITLE + SIDE + LINE * lines + BETWEEN for lines in beneath]


def asked_of(first: Result, wanted: Asked, result: Result) -> Asked:
    """What was asked of the first result, asked of another: the same place, and its own word and queries."""
    if result is first:
        return wanted
    from workbench.panels.patches.quantities import ALL, heads_of

    token = same_place(first, wanted.token, result)
    word = wanted.word if wanted.word in words_of(result) else ""
    query = wanted.query if wanted.query + 1 < len(queries_of(result)) else ALL
    head = wanted.head if wanted.head < heads_of(result) else ALL
    return Asked(token, wanted.show, word, query, head)


def _stages(result: Result, asked: Asked, stage: str | None) -> list[str]:
    """The stages of a row of maps: of those that have the quantity, with the asked one where it is one."""
    having = [name for name in stages_of(result) if values(result, name, asked) is not None]
    return shown_stages(having, stage if stage in having else None, MAPS)


def _row(
    figure: Figure,
    result: Result,
    asked: Asked,
    ends: Mapping[str, tuple[float, float]],
    bottom: float,
    one: bool,
    rungs: Mapping[str, Rung],
) -> None:
    """The picture and the maps of one result, their lower edge so many inches above the figure's.

    ends: of the colours, by stage; `one` tells whether all are the same. rungs: what the lens reads at the
    patch, by stage.
    """
    width, height = figure.get_size_inches()
    gap = (width - LEFT - RIGHT - (MAPS + 1) * SIDE) / MAPS
    pictures = [("the input", picture_image(result, asked.token), "")]
    for name in ends:
        own = "" if one else _ends(asked.show, *ends[name])
        pictures.append((name, map_image(result, name, asked, ends[name]), own))
    for k, (name, pixels, most) in enumerate(pictures):
        left = LEFT + k * (SIDE + gap)
        axes = figure.add_axes((left / width, bottom / height, SIDE / width, SIDE / height))
        axes.imshow(pixels, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        axes.set_title(name, fontsize=8, pad=2)
        lines = [most] if most else []
        if name in rungs:
            lines += [f"{_short(text)} {chance(p)}" for text, p in rungs[name].read[:READ]]
        elif k == 0 and rungs:
            lines = [*([""] * (not one)), "the lens at", "the patch"]
        for number, line in enumerate(lines):
            y = (bottom - LINE * (number + 1) + 0.02) / height
            figure.text((left + SIDE / 2) / width, y, line, fontsize=8, ha="center", va="baseline")
    bar = figure.add_axes(((width - 0.62) / width, bottom / height, 0.07 / width, SIDE / height))
    low, high = next(iter(ends.values())) if one else (0.0, 1.0)
    bar.imshow(np.linspace(1, 0, 128)[:, None], cmap="cividis", aspect="auto", extent=(0, 1, low, high))
    bar.set_xticks([])
    ticks = [low, (low + high) / 2, high]
    bottom_end = "min" if asked.show == SIMILARITY else "0"
    bar.set_yticks(ticks, [_tick(v) for v in ticks] if one else [bottom_end, "", "max"])
    bar.yaxis.tick_right()
    bar.tick_params(length=2, pad=1.5, labelsize=8)
    bar.spines[:].set_visible(False)
    label = _label(result, asked)
    bar.set_ylabel(label if one else f"{label.partition(',')[0]}, own scales", fontsize=8, labelpad=2)
    bar.yaxis.set_label_position("right")


def _tick(value: float) -> str:
    return f"{value:.2g}".replace("-", "\N{MINUS SIGN}")


def _ends(show: str, low: float, high: float) -> str:
    """The ends of a map's own colours."""
    most = told(show, high)
    return f"{told(show, low)} to {most}" if show == SIMILARITY else f"max {most}"


def _label(result: Result, asked: Asked) -> str:
    """What the colours are, in so few words that they stand beside them."""
    if asked.show == WORD:
        return f"p({_short(words_of(result)[word_at(result, asked.word)])})"
    return UNITS[asked.show]


def _short(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"
