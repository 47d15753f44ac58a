"""Discs, lines, rectangles and words, drawn into a layer; parts outside the layer are cut off.

At ``scale`` 1 or more a pixel is covered or not, and shapes are as wide as OpenCV draws them: a line of one
pixel is Bresenham's, a thicker one covers as many pixels as OpenCV's does over all directions.
Below 1, where shapes are thinner than the pixels, a pixel is covered by the share of it that lies under the
shape. Words are stroked in Hershey's simplex roman (A. V. Hershey, U.S. National Bureau of Standards, 1967).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Colour = Sequence[float] | NDArray[np.float32]
Point = tuple[float, float]
"""x, y in pixels; a pixel's centre is whole."""

FATTER = 0.45
"""Pixels to each side of a line beyond half its width in whole pixels: what OpenCV's lines measure."""
ASCENT, DESCENT = 12, 9
"""Of the letters, in their own units; at a font's scale of 1 a unit is a pixel."""
# Each letter: left and right edge, then strokes; a coordinate is a character's distance from "R".
_LETTERS = {
    "A": "I[RFJ[ RRFZ[ RMTWT",
    "C": "H]ZKYIWGUFQFOGMILKKNKSLVMXOZQ[U[WZYXZV",
    "D": "G\\KFK[ RKFRFUGWIXKYNYSXVWXUZR[K[",
    "E": "H[LFL[ RLFYF RLPTP RL[Y[",
    "F": "HZLFL[ RLFYF RLPTP",
    "G": "H]ZKYIWGUFQFOGMILKKNKSLVMXOZQ[U[WZYXZVZS RUSZS",
    "H": "G]KFK[ RYFY[ RKPYP",
    "I": "NVRFR[",
    "K": "G\\KFK[ RYFKT RPOY[",
    "O": "G]PFNGLIKKJNJSKVLXNZP[T[VZXXYVZSZNYKXIVGTFPF",
    "P": "G\\KFK[ RKFTFWGXHYJYMXOWPTQKQ",
    "R": "G\\KFK[ RKFTFWGXHYJYLXNWOTPKP RRPY[",
    "T": "JZRFR[ RKFYF",
    "V": "I[JFR[ RZFR[",
    "X": "H\\KFY[ RYFK[",
    "Y": "I[JFRPR[ RZFRP",
    "0": "H\\QFNGLJKOKRLWNZQ[S[VZXWYRYOXJVGSFQF",
    "1": "H\\NJPISFS[",
    "2": "H\\LKLJMHNGPFTFVGWHXJXLWNUQK[Y[",
    "3": "H\\MFXFRNUNWOXPYSYUXXVZS[P[MZLYKW",
    "4": "H\\UFKTZT RUFU[",
    "5": "H\\WFMFLOMNPMSMVNXPYSYUXXVZS[P[MZLYKW",
    "6": "H\\XIWGTFRFOGMJLOLTMXOZR[S[VZXXYUYTXQVOSNRNOOMQLT",
    "7": "H\\YFO[ RKFYF",
    "8": "H\\PFMGLILKMMONSOVPXRYTYWXYWZT[P[MZLYKWKTLRNPQOUNWMXKXIWGTFPF",
    "9": "H\\XMWPURRSQSNRLPKMKLLINGQFRFUGWIXMXRWWUZR[P[MZLX",
}


def between(generator: np.random.Generator, least: int, most: int) -> int:
    """A whole number drawn evenly from ``least`` to ``most``, both included."""
    return int(generator.integers(least, most + 1))


def disc(layer: Floats, centre: Point, radius: float, colour: Colour, scale: float) -> None:
    """A filled circle on the layer (H, W, C), with ``colour`` (C,); all lengths are already in its pixels."""
    rows, columns = _window(layer, [centre], radius)
    y, x = rows[:, None] - centre[1], columns - centre[0]
    if scale < 1:
        covered = np.clip(radius + 0.5 - np.hypot(x, y), 0, min(1.0, math.pi * radius**2))
    else:
        covered = x**2 + y**2 <= radius**2
    _paint(layer, rows, columns, covered, colour)


def ellipse(layer: Floats, centre: Point, axes: Point, degrees: float, colour: Colour) -> None:
    """A filled ellipse with these half axes, the first turned by so many degrees from x towards y."""
    rows, columns = _window(layer, [centre], max(axes))
    y, x = rows[:, None] - centre[1], columns - centre[0]
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    along, beside = cosine * x + sine * y, cosine * y - sine * x
    _paint(layer, rows, columns, (along / axes[0]) ** 2 + (beside / axes[1]) ** 2 <= 1, colour)


def line(layer: Floats, start: Point, end: Point, width: float, colour: Colour, scale: float) -> None:
    """A straight line with round ends."""
    if scale >= 1 and round(width) == 1:
        steps = int(max(abs(end[0] - start[0]), abs(end[1] - start[1])))
        way = np.linspace(0, 1, steps + 1)
        x, y = (np.rint(a + way * (b - a)).astype(np.intp) for a, b in zip(start, end, strict=True))
        inside = (x >= 0) & (x < layer.shape[1]) & (y >= 0) & (y < layer.shape[0])
        layer[y[inside], x[inside]] = colour
        return
    half = width / 2 if scale < 1 else (round(width) + 1) // 2 + FATTER
    rows, columns = _window(layer, [start, end], half)
    distance = _from_segment(rows[:, None], columns, start, end)
    covered = np.clip(half + 0.5 - distance, 0, min(1.0, width)) if scale < 1 else distance <= half
    _paint(layer, rows, columns, covered, colour)


def rectangle(mask: NDArray[np.bool_], left: float, top: float, right: float, bottom: float) -> None:
    """A filled rectangle on a mask (H, W), its last pixel included: at least one pixel."""
    first = round(left), round(top)
    last = max(first[0], round(right)), max(first[1], round(bottom))
    mask[max(first[1], 0) : last[1] + 1, max(first[0], 0) : last[0] + 1] = True


def width_of(text: str, size: float, width: float) -> float:
    """Pixels that a text is wide at a font's scale, stroked so wide."""
    return sum(ord(_LETTERS[letter][1]) - ord(_LETTERS[letter][0]) for letter in text) * size + width


def words(
    layer: Floats, text: str, origin: Point, size: float, width: float, colour: Colour, scale: float
) -> None:
    """Letters and digits from the left end of their base line, at a font's scale, stroked so wide."""
    x, base = origin[0], origin[1] - DESCENT * size
    for letter in text:
        code = _LETTERS[letter]
        x -= _place(code[0]) * size
        for stroke in code[2:].split(" R"):
            points = [
                (x + _place(across) * size, base + _place(down) * size)
                for across, down in zip(stroke[::2], stroke[1::2], strict=True)
            ]
            for start, end in zip(points, points[1:], strict=False):
                line(layer, start, end, width, colour, scale)
        x += _place(code[1]) * size


def _place(character: str) -> int:
    return ord(character) - ord("R")


def _window(
    layer: Floats, points: Iterable[Point], beyond: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the layer that a shape around these points may reach."""
    x, y = zip(*points, strict=True)
    reach = math.ceil(beyond) + 1
    ranges = []
    for places, length in ((y, layer.shape[0]), (x, layer.shape[1])):
        first, last = max(0, math.floor(min(places)) - reach), min(length, math.ceil(max(places)) + reach + 1)
        ranges.append(np.arange(first, max(first, last)))
    return ranges[0], ranges[1]


def _from_segment(y: NDArray[np.intp], x: NDArray[np.intp], start: Point, end: Point) -> NDArray[np.float64]:
    """Distance in pixels of each place from the segment."""
    across, down = end[0] - start[0], end[1] - start[1]
    squared = across**2 + down**2
    share = ((x - start[0]) * across + (y - start[1]) * down) / squared if squared else 0.0 * (x + y)
    share = np.clip(share, 0, 1)
    return np.hypot(x - start[0] - share * across, y - start[1] - share * down)


def _paint(
    layer: Floats,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    covered: NDArray[np.floating] | NDArray[np.bool_],
    colour: Colour,
) -> None:
    if len(rows) == 0 or len(columns) == 0:
        return
    window = layer[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if covered.dtype == np.bool_:
        window[covered] = colour
    else:
        window += covered[..., None].astype(np.float32) * (np.asarray(colour, np.float32) - window)
