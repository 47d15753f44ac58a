"""The tokens as pictures, the same on the screen and on paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from workbench.panels.overlay import shaded_cells
from workbench.runs.export import PAGE as WIDTH
from workbench.runs.parts import Box, composed, lettered
from workbench.runs.wrapping import wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.runs.result import Result

Named = tuple[str, "Result"]
"""A result with the name of its run."""
COLUMNS = 5
INDENT = 0.17
"""Inches before the text; the letter of a row stands there."""
GAP = 0.04
LINE = 0.14
"""Inches between a picture and its cell; from one line of text to the next."""
MOST_TALL = 2.0
"""Height over width of a picture's place, at most."""
WORST = 64.0
"""Root mean square error at the high end of the colours, in grey levels of 0 to 255."""
GOLDEN = 0.618034
"""Codes one apart are so far apart around the circle of hues: neighbours in number are easily told apart."""


@dataclass(frozen=True)
class Shot:
    """One picture: its name, a number in words, pixels uint8 (H, W, 3)."""

    name: str
    note: str
    pixels: np.ndarray


def shots(result: Result) -> list[Shot]:
    """What the tokeniser got, its tokens, what they are read back as, its error, what the damage changed."""
    seen, tokens = result.images["seen"], result.arrays["tokens"]
    rows, cols = tokens.shape
    numbers = dict(zip(*(result.tables["summary"][name] for name in ("measure", "value")), strict=True))
    found = [
        Shot("given", f"{seen.shape[1]} × {seen.shape[0]} pixels", seen),
        Shot("tokens", f"{rows} × {cols}, a colour each code", painted(tokens, seen.shape)),
    ]
    if "decoded" in result.images:
        decoded = result.images["decoded"]
        psnr = told(numbers["PSNR of what is read back"], "dB")
        found.append(Shot("read back", f"PSNR {psnr}", decoded))
        wrong = error(seen, decoded, rows, cols)
        words = f"rms 0 to {WORST:.0f} levels"
        found.append(Shot("error by token", words, shaded_cells(seen, wrong, WORST)))
    if "undamaged" in result.arrays:
        changed = (tokens != result.arrays["undamaged"]) & result.arrays["inside"]
        share = numbers["tokens changed by the damage"]
        found.append(Shot("changed", f"{share:.0f} % of the tokens", shaded_cells(seen, changed * 1.0, 1.0)))
    return found


def painted(tokens: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The grid with a colour for each code, as large as the image: uint8 (H, W, 3)."""
    from matplotlib.colors import hsv_to_rgb

    turns = tokens * GOLDEN
    hue, value = turns % 1.0, 0.55 + 0.4 * ((turns // 1.0) * GOLDEN % 1.0)
    colours = (hsv_to_rgb(np.stack([hue, np.full(hue.shape, 0.65), value], -1)) * 255).astype(np.uint8)
    return spread(colours, shape)


def error(seen: np.ndarray, decoded: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """Root mean square difference of each cell in grey levels, float64 (rows, cols)."""
    squared = (seen.astype(np.float64) - decoded.astype(np.float64)) ** 2
    down, across = seen.shape[0] // rows, seen.shape[1] // cols
    cells = squared[: rows * down, : cols * across].reshape(rows, down, cols, across, 3)
    found: np.ndarray = np.sqrt(cells.mean(axis=(1, 3, 4)))
    return found


def spread(cells: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Each cell (rows, cols, 3) over the pixels that it stands for, of an image of this shape."""
    y = np.arange(shape[0]) * cells.shape[0] // shape[0]
    x = np.arange(shape[1]) * cells.shape[1] // shape[1]
    out: np.ndarray = cells[y[:, None], x[None, :]]
    return out


def told(value: float, unit: str) -> str:
    """A number of the summary in words."""
    if math.isinf(value):
        return "equal"
    number = f"{value:,.0f}" if value == int(value) or unit == "bit" else f"{value:,.2f}"
    return f"{number} {unit}".strip()


def paper(results: Result | Sequence[Result] | Sequence[Named]) -> Figure:
    """A row of pictures for each result, 6.75 in wide, its numbers below."""
    many = [results] if not isinstance(results, Sequence) else list(results)
    return composed([Shots([each if isinstance(each, tuple) else ("", each) for each in many])], WIDTH)


class Shots:
    """The same as a part of a figure: one letter for all rows, or one for each where it stands alone."""

    wide = True
    beside = 0.0

    def __init__(self, many: Sequence[Named]) -> None:
        self.many = list(many)
        self.rows = [_Row(name * (len(many) > 1), result) for name, result in many]

    def height(self, width: float) -> float:
        """Inches: one row below the other."""
        return sum(row.height for row in self.rows)

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw them at their place."""
        letters, down = [letter] if letter else lettered(len(self.rows)), 0.0
        for row, here in zip_longest(self.rows, letters, fillvalue=""):
            assert isinstance(row, _Row)
            row.draw(figure, Box(box.left, box.top + down, box.width, row.height), str(here))
            down += row.height

    def numbers(self) -> DataFrame:
        """What is said of all tokens of a result together."""
        import pandas as pd

        tables = [(name, result.tables["summary"]) for name, result in self.many]
        return pd.concat(
            [table.assign(run=name)[["run", *table.columns]] for name, table in tables], ignore_index=True
        )


class _Row:
    """What stands on paper of one result; sizes in inches."""

    def __init__(self, name: str, result: Result) -> None:
        self.shots = shots(result)
        tall, wide = self.shots[0].pixels.shape[:2]
        self.cell = WIDTH / COLUMNS
        self.high = self.cell * min(tall / wide, MOST_TALL)
        words = f"{name}, {_numbers(result)}" if name else _numbers(result)
        self.lines = wrapped(words, WIDTH - 4 * GAP - INDENT)
        self.height = self.high + LINE * (len(self.lines) + 3) + 0.15

    def draw(self, figure: Figure, box: Box, letter: str) -> None:
        for column, shot in enumerate(self.shots):
            left, wide = column * self.cell + GAP, self.cell - 2 * GAP
            axes = box.axes(figure, left, GAP, wide, self.high - GAP)
            axes.imshow(shot.pixels, interpolation="nearest", aspect="equal")
            axes.set_anchor("S")
            axes.set_axis_off()
            for line, words in enumerate((shot.name, shot.note), start=1):
                at = left + wide / 2, self.high + LINE * line
                box.text(figure, *at, words, ha="center", va="baseline")
        first = self.high + 3 * LINE + 0.05
        for line, words in enumerate(self.lines):
            box.text(figure, GAP + INDENT, first + LINE * line, words, va="baseline")
        if letter:
            box.text(figure, GAP, first, letter, va="baseline", weight="bold")


def _numbers(result: Result) -> str:
    rows = result.tables["summary"].to_dict("records")
    numbers = "; ".join(f"{row['measure']} {told(row['value'], row['unit'])}" for row in rows)
    return f"{result.manifest['model']['id']}: {numbers}"
