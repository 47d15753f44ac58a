"""The visual states on paper, as a filmstrip."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from workbench.errors import Refusal
from workbench.panels.states.events import SAME
from workbench.panels.states.shots import (
    ALONE,
    ANSWERS,
    Shot,
    decided,
    in_one,
    probability,
    screen,
    size_note,
)
from workbench.runs.export import PAGE as WIDTH
from workbench.runs.wrapping import wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.runs.parts import Box
    from workbench.runs.result import Result

Named = tuple[str, "Result"]
"""A result with the name of its run."""

GAP = 0.03
"""Inches between a picture and the edge of its cell."""
LINE = 0.14
"""Inches from one line of text to the next."""
INDENT = 0.17
"""Inches before the text; the letter of a strip stands there."""
MOST_TALL = 2.0
"""Height over width of a cell, at most: a very tall picture is shown smaller instead."""
MOST_COLUMNS = 8
"""Steps side by side on paper."""
_CHANCE = re.compile(r"\(p\S* [=<] [\d.]+\)")
"""A probability in brackets, which stays on one line."""


@dataclass(frozen=True)
class Chosen:
    """Which steps a filmstrip shows.

    ``at`` names them by number, the noise being 0; where it is empty, ``steps`` of those taken, spread
    evenly, the noise and the last one left out. ``estimates`` adds a row with the image that each step's
    velocity points to.
    """

    steps: int = 4
    at: tuple[int, ...] = ()
    estimates: bool = False

    @property
    def columns(self) -> int:
        """How many steps stand side by side."""
        return len(self.at) or self.steps


def numbered(text: str) -> tuple[int, ...]:
    """Numbers of steps as a person writes them, at most `MOST_COLUMNS`. Raises Refusal otherwise."""
    words = text.replace(",", " ").split()
    if not all(word.isdecimal() for word in words) or len(words) > MOST_COLUMNS:
        raise Refusal(
            f"“{text[:40]}” names no steps: write up to {MOST_COLUMNS} numbers, as in 1 4 9, or nothing."
        )
    return tuple(int(word) for word in words)


def paper(results: Result | Sequence[Result], chosen: Chosen = Chosen()) -> Figure:  # noqa: B008 - frozen
    """A filmstrip for each result, 6.75 in wide: original, degraded, denoising, restored; the words below.

    Each drawing has a row of its own. Raises Refusal where a chosen step was not taken.
    """
    from matplotlib.figure import Figure

    from workbench.runs.export import paper_style

    many = [results] if not isinstance(results, Sequence) else list(results)
    with paper_style():
        strips = [_strip(result, chosen) for result in many]
        height = sum(strip.height for strip in strips)
        figure = Figure(figsize=(WIDTH, height))
        top = height
        for index, strip in enumerate(strips):
            letter = "abcdefghijklmnopqrstuvwxyz"[index % 26] if len(many) > 1 else ""
            _draw(figure, strip, top, letter)
            top -= strip.height
    return figure


class Filmstrips:
    """The same as a part of a figure; one letter for all of its strips."""

    wide = True
    beside = 0.0

    def __init__(self, many: Sequence[Named], chosen: Chosen) -> None:
        self.many, self.chosen = list(many), chosen

    def height(self, width: float) -> float:
        """Inches: one strip below the other."""
        return sum(strip.height for strip in self._strips())

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw them at their place."""
        top = figure.get_figheight() - box.top
        for number, strip in enumerate(self._strips()):
            _draw(figure, strip, top, "" if number else letter)
            top -= strip.height

    def numbers(self) -> DataFrame:
        """What happened, a row for each event, with the name of the run."""
        import pandas as pd

        tables = [result.tables["trace"].assign(run=name) for name, result in self.many]
        return pd.concat([t[["run", *t.columns.drop("run")]] for t in tables], ignore_index=True)

    def _strips(self) -> list[_Strip]:
        return [_strip(result, self.chosen) for _, result in self.many]


@dataclass
class _Row:
    """Pictures side by side (None: a gap), and what they are where it has to be said."""

    shots: list[Shot | None]
    label: str = ""


@dataclass(frozen=True)
class _Strip:
    """What stands on paper of one result: rows of pictures, lines of text; sizes in inches."""

    rows: list[_Row]
    lines: list[str]
    cell: float
    picture: float

    @property
    def row(self) -> float:
        """Height of a row of pictures with the two lines below them."""
        return self.picture + 2 * LINE + 0.1

    @property
    def height(self) -> float:
        return self.row * len(self.rows) + LINE * len(self.lines) + 0.1


def _strip(result: Result, chosen: Chosen) -> _Strip:
    shots = screen(result)
    rows = _rows(shots, chosen)
    cell = WIDTH / (chosen.columns + 3)
    tallest = max(shot.pixels.shape[0] / shot.pixels.shape[1] for shot in shots)
    lines = [line for text in _texts(result) for line in wrapped(text, WIDTH - INDENT - GAP)]
    return _Strip(rows, lines, cell, cell * min(tallest, MOST_TALL))


def _rows(shots: Sequence[Shot], chosen: Chosen) -> list[_Row]:
    """A row for each drawing: its chosen steps, then its end; in the first row what was given, too.

    Below each, where asked for, a row with the images that its steps point to.
    """
    drawn = [shot for shot in shots if shot.kind == "step"]
    last = max((shot.drawing for shot in drawn), default=0)
    rows, below = [], {}
    for drawing in range(1, last + 1):
        walk = [shot for shot in drawn if shot.drawing == drawing]
        middle = _picked(walk, chosen)
        gaps: list[Shot | None] = [None] * (chosen.columns - len(middle))
        label = f"drawing {drawing}" if drawing > 1 else ""
        row = _Row([None, None, *middle, *gaps], label)
        if chosen.estimates:
            below[drawing] = _Row([None, None, *(shot.pointed for shot in middle)])
        if drawing < last:
            row.shots.append(replace(walk[-1], name=f"drawing {drawing}", t=math.nan))
        rows.append(row)
    rows = rows or [_Row([None, None])]
    rows[0].shots[:2] = [shot for shot in shots if shot.kind in ("original", "degraded")]
    rows[-1].shots += [shot for shot in shots if shot.kind == "restored"]
    return [each for number, row in enumerate(rows, start=1) for each in (row, below.get(number)) if each]


def _picked(walk: Sequence[Shot], chosen: Chosen) -> list[Shot]:
    """The chosen steps of one drawing. Raises Refusal where one was not taken."""
    if chosen.at:
        taken = {shot.step: shot for shot in walk}
        for step in chosen.at:
            if step not in taken:
                raise Refusal(f"There is no step {step} to show: the drawing has steps 0 to {max(taken)}.")
        return [taken[step] for step in chosen.at]
    between = walk[1:-1]
    places = {round(i * (len(between) - 1) / max(chosen.steps - 1, 1)) for i in range(chosen.steps)}
    return [between[place] for place in sorted(places)] if between else []


def _draw(figure: Figure, strip: _Strip, top: float, letter: str) -> None:
    height = figure.get_figheight()

    def text(x: float, y: float, words: str, **look: Any) -> None:
        figure.text(x / WIDTH, y / height, words, fontsize=8, **look)

    for row in strip.rows:
        bottom = top - 0.02 - strip.picture
        for column, shot in enumerate(row.shots):
            if shot is None:
                continue
            left = column * strip.cell
            box = (left + GAP, bottom, strip.cell - 2 * GAP, strip.picture - 0.02)
            axes = figure.add_axes((box[0] / WIDTH, box[1] / height, box[2] / WIDTH, box[3] / height))
            axes.imshow(shot.pixels, interpolation="nearest", aspect="equal")
            axes.set_anchor("S")
            axes.set_axis_off()
            for line, words in enumerate((shot.name, shot.short_note), start=1):
                text(left + strip.cell / 2, bottom - LINE * line, words, ha="center")
        if row.label:
            text(2 * strip.cell - 0.08, bottom + strip.picture / 2, row.label, ha="right")
        top -= strip.row
    for line, words in enumerate(strip.lines, start=1):
        if letter and line == 1:
            text(GAP, top - LINE, letter, weight="bold")
        text(INDENT, top - LINE * line, words)


def _texts(result: Result) -> list[str]:
    """The question with the condition, what the model thinks and decides, its answers: a paragraph each."""
    from workbench.images.corruptions import CORRUPTIONS

    config = result.config
    question = config["question"]
    if config["corruption"] in CORRUPTIONS:
        question += f" ({CORRUPTIONS[config['corruption']].within} {config['intensity']:.2f})"
    answers = {row["on"]: row for row in result.tables["answers"].to_dict("records")}

    def told(ons: Iterable[str]) -> str:
        return "; ".join(in_one(answers[on], config["restore"]) for on in ons if on in answers)

    texts = [question, _story(result)]
    if alone := told(ALONE):
        texts.append(f"from vision tokens alone, {alone}")
    texts.append(told((SAME, *ANSWERS)))
    if tuple(result.arrays["compared_at"]) != result.images["original"].shape[:2]:
        texts.append(size_note(result.arrays["compared_at"]))
    return [_CHANCE.sub(_unbroken, " ".join(text.split())) for text in texts if text]


def _story(result: Result) -> str:
    """What the model thought and decided, in order."""
    told, asked = [], result.config["restore"]
    for row in result.tables["trace"].to_dict("records"):
        if row["event"] == "thought":
            told.append(f"thinks “{row['text']}”")
        elif row["event"] == "decision":
            chance = probability(row["probability"], "p(draw)")
            told.append(f"{decided(row['text'] == 'draw', asked)} ({chance})")
    return ", ".join(told)


def _unbroken(found: re.Match[str]) -> str:
    """The same with spaces at which no line ends."""
    return found.group().replace(" ", "\N{NO-BREAK SPACE}")
