"""Whether two maps put the cells of an image into the same order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Agreement:
    """Rank correlations, −1 to 1; NaN where one of the maps is the same everywhere.

    spearman: Pearson's r of the ranks. kendall: tau-b, pairs in one order less pairs in opposite ones, with
    ties taken out. cells: how many they rest on. Neighbouring cells are alike, so no p is given.
    """

    spearman: float
    kendall: float
    cells: int


def agreement(a: ArrayLike, b: ArrayLike) -> Agreement:
    """Rank agreement of two maps (cells,); cells that are NaN in one of them are left out.

    Raises:
        ValueError: the maps differ in length.
    """
    from scipy.stats import kendalltau, spearmanr

    x, y = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    if x.shape != y.shape:
        raise ValueError(f"two maps of one length are needed, not {x.shape} and {y.shape}")
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Agreement(float("nan"), float("nan"), len(x))
    return Agreement(float(spearmanr(x, y).statistic), float(kendalltau(x, y).statistic), len(x))


def between_all(maps: Sequence[ArrayLike]) -> list[list[Agreement]]:
    """Agreement of every map with every map, as rows and columns in their order."""
    found = [[agreement(maps[i], maps[j]) for j in range(i + 1)] for i in range(len(maps))]
    return [[found[max(i, j)][min(i, j)] for j in range(len(maps))] for i in range(len(maps))]
