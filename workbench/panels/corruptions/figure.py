"""The sheet on paper: sixteen kinds of damage in their four categories, three intensities each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.images.corruptions import LEVELS
from workbench.images.fit import within
from workbench.panels.corruptions.study import image_name, made, shown_psnr
from workbench.runs.export import PAGE
from workbench.runs.parts import Box, composed
from workbench.runs.wrapping import wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.runs.result import Result

INTENSITIES = (
    f"Intensity {', '.join(f'{value:.2f}' for value in LEVELS.values())} from left to right; PSNR ↑."
)
Named = tuple[str, "Result"]
"""A result with the name of its run."""

ACROSS = 3
"""Kinds of damage side by side."""
GAP = 0.04
LINE = 0.14
MOST_TALL = 1.5
"""Inches between pictures; from one line of text to the next; height over width of a picture, at most."""
DOTS = 300
"""Pixels an inch that a picture has at most: a printer shows no more."""


@dataclass(frozen=True)
class Kind:
    """One kind of damage with its three intensities: the rows of the sheet, in their order."""

    label: str
    category: str
    name: str
    psnr: tuple[float, ...]


def kinds(result: Result) -> list[Kind]:
    """The rows of the sheet."""
    rows = result.tables["sheet"].to_dict("records")
    found = []
    for first in range(0, len(rows), len(LEVELS)):
        group = rows[first : first + len(LEVELS)]
        told = group[0]
        psnr = tuple(float(row["psnr"]) for row in group)
        found.append(Kind(told["label"], told["category"], told["corruption"], psnr))
    return found


class Sheet:
    """The sheets as a part of a figure, one below the other; a letter for all."""

    wide = True
    beside = 0.0

    def __init__(self, many: Sequence[Named]) -> None:
        self.many = list(many)

    def height(self, width: float) -> float:
        """Inches."""
        return sum(_height(result, width) for _, result in self.many)

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw them at their place."""
        top = box.top
        for number, (_, result) in enumerate(self.many):
            high = _height(result, box.width)
            _draw(figure, Box(box.left, top, box.width, high), result, "" if number else letter)
            top += high

    def numbers(self) -> DataFrame:
        """The tables, with the name of the run."""
        import pandas as pd

        tables = [result.tables["sheet"].assign(run=name) for name, result in self.many]
        return pd.concat([t[["run", *t.columns.drop("run")]] for t in tables], ignore_index=True)


def paper(results: Result | Sequence[Result]) -> Figure:
    """A sheet for each result, 6.75 in wide."""
    many = [results] if not isinstance(results, Sequence) else list(results)
    return composed([Sheet([("", result) for result in many])], PAGE)


def _cells(result: Result, width: float) -> tuple[float, float]:
    """Inches of a picture's place: width and height."""
    height, wide = result.images["original"].shape[:2]
    cell = (width - GAP) / (ACROSS * len(LEVELS) + 0.25 * (ACROSS - 1))
    return cell, cell * min(height / wide, MOST_TALL)


def _blocks(result: Result) -> list[list[Kind]]:
    """The kinds by category, in lines of `ACROSS`."""
    lines: list[list[Kind]] = []
    for kind in kinds(result):
        full = not lines or len(lines[-1]) == ACROSS
        if full or lines[-1][0].category != kind.category:
            lines.append([])
        lines[-1].append(kind)
    return lines


def _height(result: Result, width: float) -> float:
    lines = _blocks(result)
    _, high = _cells(result, width)
    categories = len({line[0].category for line in lines})
    return (
        len(lines) * (high + 2 * LINE + 0.08)
        + categories * (LINE + 0.04)
        + LINE * len(_heading(result, width))
        + 0.16
    )


def _heading(result: Result, width: float) -> list[str]:
    return wrapped(f"{INTENSITIES} {made(result)}", width - 0.2)


def _draw(figure: Figure, box: Box, result: Result, letter: str) -> None:
    cell, high = _cells(result, box.width)
    box.letter(figure, letter)
    left = GAP + (0.13 if letter else 0.0)
    top, category = 0.06, ""
    for words in _heading(result, box.width):
        box.text(figure, left, top, words)
        top += LINE
    top += 0.06
    for line in _blocks(result):
        if line[0].category != category:
            category = line[0].category
            box.text(figure, GAP, top, category, weight="bold")
            top += LINE + 0.04
        for place, kind in enumerate(line):
            start = GAP + place * cell * (len(LEVELS) + 0.25)
            box.text(figure, start, top, kind.label)
            for number, (level, value) in enumerate(zip(LEVELS, kind.psnr, strict=True)):
                x = start + number * cell
                pixels = within(result.images[image_name(kind.name, level)], round(cell * DOTS))
                axes = box.axes(figure, x, top + LINE, cell - GAP, high - GAP)
                axes.imshow(pixels, interpolation="nearest", aspect="equal")
                axes.set_axis_off()
                words = shown_psnr(value)
                box.text(figure, x + (cell - GAP) / 2, top + LINE + high, words, ha="center")
        top += high + 2 * LINE + 0.08
