"""Whether a map tells what the answer rests on: take away what it points to, and see whether the answer goes.

A map is one number for each cell of a grid. All of this asks about cells: a cell is either shown or replaced
(by grey, say), and what the model then makes of the answer is measured by whoever calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Shown = NDArray[np.bool_]
Way = Literal["deletion", "insertion"]
WAYS: tuple[Way, ...] = ("deletion", "insertion")


def ranked(values: ArrayLike, *, seed: int = 0) -> NDArray[np.int64]:
    """The cells from the largest value to the smallest, int64 (cells,).

    Cells of one value come in an order drawn with the seed: in the order of the grid, a map with many zeros
    would be read as one that prefers the top of the image. Our choice; NaN comes last.
    """
    v = np.asarray(values, dtype=np.float64).ravel()
    mixed = np.random.default_rng(seed).permutation(len(v))
    return np.asarray(mixed[np.argsort(-v[mixed], kind="stable")])


def walk(values: ArrayLike, way: Way, steps: int, *, seed: int = 0) -> Shown:
    """Which cells are shown at each step of a deletion or insertion curve, bool (steps + 1, cells).

    Deletion begins with the whole image and takes cells away, those with the largest values first; insertion
    begins with nothing and gives them back in the same order (Petsiuk et al. 2018, arXiv 1806.07421, section
    3.2, there pixel by pixel). Each step changes equally many cells, as far as they can be divided.

    Raises:
        ValueError: there are no cells, or no steps.
    """
    order = ranked(values, seed=seed)
    if not len(order) or steps < 1:
        raise ValueError(f"a curve needs cells and steps, not {len(order)} and {steps}")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    changed = np.rint(np.linspace(0, len(order), min(steps, len(order)) + 1)).astype(np.int64)
    done = place[None] < changed[:, None]
    return ~done if way == "deletion" else done


def area(curve: ArrayLike) -> float:
    """Area under a curve over the share of the image that was changed, 0 to 1: that of its mean height.

        (y_0 / 2 + y_1 + … + y_{n-1} + y_n / 2) / n

    As in Petsiuk et al. 2018. Of probabilities, a deletion curve of a faithful map has a small area and an
    insertion curve a large one.

    Raises:
        ValueError: the curve has fewer than two points.
    """
    y = np.asarray(curve, dtype=np.float64).ravel()
    if len(y) < 2:
        raise ValueError("an area needs at least two points")
    return float((y.sum() - (y[0] + y[-1]) / 2) / (len(y) - 1))


@dataclass(frozen=True)
class Infidelity:
    """value: the mean squared error. relative: the same by the mean square of the changes themselves.

    relative is 0 where the map tells every change, and 1 where it tells no more than saying that nothing
    changes; NaN where nothing does.
    """

    value: float
    relative: float


def infidelity(values: ArrayLike, removed: ArrayLike, changes: ArrayLike) -> Infidelity:
    """How badly a map foretells what taking cells away does.

        E_I [ (beta · I·phi − (f(x) − f(x − I)))² ],    beta = E[I·phi · change] / E[(I·phi)²]

    Yeh et al. 2019 (arXiv 1901.09392), definition 2.1 with the optimal scaling of section 2.1 (Captum's
    `normalize`), without which maps in different units could not be compared. I is the indicator of the
    cells that were taken away (their "square removal", with cells drawn at random; ours).

    Args:
        values: (cells,).
        removed: (samples, cells), 1 or true where a cell was taken away.
        changes: (samples,), what the measured quantity lost: f(x) − f(x − I).

    Raises:
        ValueError: the shapes do not belong together.
    """
    phi, taken = np.asarray(values, np.float64).ravel(), np.asarray(removed, np.float64)
    lost = np.asarray(changes, np.float64).ravel()
    if taken.shape != (len(lost), len(phi)) or not len(lost):
        raise ValueError(f"{taken.shape} do not fit {len(lost)} changes and {len(phi)} cells")
    told = taken @ phi
    square = float((told * told).mean())
    beta = float((told * lost).mean()) / square if square > 0 else 0.0
    value = float(((beta * told - lost) ** 2).mean())
    whole = float((lost * lost).mean())
    return Infidelity(value, value / whole if whole > 0 else float("nan"))


def removals(cells: int, samples: int, *, least: float = 0.05, most: float = 0.5, seed: int = 0) -> Shown:
    """Cells to take away for `infidelity`, bool (samples, cells): a share drawn evenly, then cells at random.

    At least one cell and, for grids of two or more, never all.
    """
    rng = np.random.default_rng(seed)
    counts = np.rint(rng.uniform(least, most, samples) * cells).astype(np.int64)
    counts = np.clip(counts, 1, max(1, cells - 1))
    order = rng.random((samples, cells)).argsort(axis=1).argsort(axis=1)
    return np.asarray(order < counts[:, None])
