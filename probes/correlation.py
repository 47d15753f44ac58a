"""Correlation of two short series, with what a small number of points allows to say about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations as orders

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.bootstrap import draws, interval

Floats = NDArray[np.float64]

FEWEST = 5
"""Points below which neither interval nor p is given: four can be ordered in 24 ways only, so no p is below
0.08, and their resamples are few."""
MOST_ORDERS = 7
"""Points up to which every order is tried; beyond, a sample of orders."""


@dataclass(frozen=True)
class Correlation:
    """A coefficient, -1..1, with its 95 % bootstrap interval and two-sided permutation p; NaN where unknown.

    n: how many points it rests on. Points that follow one another in time are not independent: interval and p
    then describe the series and are no test of what causes what.
    """

    value: float
    low: float
    high: float
    p: float
    n: int


def pearson(
    x: ArrayLike, y: ArrayLike, *, resamples: int = 2000, permutations: int = 5000, seed: int = 0
) -> Correlation:
    """Pearson's r of two series (n,). Points with a NaN are left out; a constant series has none.

    The interval is the percentile interval over resampled points; resamples that are constant, in which r is
    undefined, are left out. p is the share of orders of y with an r at least as far
    from 0, every order up to MOST_ORDERS points.

    Raises:
        ValueError: the series differ in length.
    """
    return _correlation(x, y, False, resamples, permutations, seed)


def spearman(
    x: ArrayLike, y: ArrayLike, *, resamples: int = 2000, permutations: int = 5000, seed: int = 0
) -> Correlation:
    """Spearman's rho, r of the ranks (ties share their mean rank); the rest as in `pearson`."""
    return _correlation(x, y, True, resamples, permutations, seed)


def _correlation(
    x: ArrayLike, y: ArrayLike, ranked: bool, resamples: int, permutations: int, seed: int
) -> Correlation:
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"two series of one length are needed, not {a.shape} and {b.shape}")
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    n = len(a)
    value = float(_r(a[None], b[None], ranked)[0]) if n > 1 else math.nan
    if n < FEWEST or not math.isfinite(value):
        return Correlation(value, math.nan, math.nan, math.nan, n)
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, n, (resamples, n))
    again = _r(a[chosen], b[chosen], ranked)
    low, high = interval(again[np.isfinite(again)])
    if n <= MOST_ORDERS:
        mixed = b[np.array(list(orders(range(n))))]
        far = np.abs(_r(a[None], mixed, ranked)) >= abs(value) - 1e-12
        p = float(far.mean())
    else:
        mixed = rng.permuted(np.broadcast_to(b, (permutations, n)), axis=1)
        far = np.abs(_r(a[None], mixed, ranked)) >= abs(value) - 1e-12
        p = float((1 + far.sum()) / (1 + permutations))
    return Correlation(value, low, high, p, n)


def _r(a: Floats, b: Floats, ranked: bool) -> Floats:
    """Of each row of (k, n) with that row of the other, or with its only one; NaN for constant rows."""
    if ranked:
        from scipy.stats import rankdata  # half a second, which the page need not wait for

        a, b = rankdata(a, axis=1), rankdata(b, axis=1)
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    size = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.divide((a * b).sum(axis=1), size, out=np.full(size.shape, np.nan), where=size > 1e-12)


CELLS = 2**20
"""Numbers that are held at once while groups are drawn again."""


def grouped_correlation(
    x: ArrayLike, y: ArrayLike, groups: ArrayLike, *, ranked: bool, resamples: int = 1000, seed: int = 0
) -> Correlation:
    """Pearson's r, or of ranks Spearman's rho, of points (n,) of which those of one group belong together.

    With a series of zeros and ones r is the point-biserial coefficient. The interval is over resampled groups
    (the images of questions); no p is given, since an order of points that belong together is no chance one.
    Points with a NaN are left out.

    Raises:
        ValueError: the series differ in length.
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    g = np.asarray(groups)
    if a.ndim != 1 or a.shape != b.shape or a.shape != g.shape:
        raise ValueError(f"three series of one length are needed, not {a.shape}, {b.shape} and {g.shape}")
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    names, owner = np.unique(g[known], return_inverse=True)
    n = len(a)
    value = float(_weighted(a, b, np.ones((1, n)), ranked)[0]) if n > 1 else math.nan
    if len(names) < FEWEST or not math.isfinite(value):
        return Correlation(value, math.nan, math.nan, math.nan, n)
    counts = draws(len(names), resamples, seed)
    step = max(1, CELLS // n)
    again = np.concatenate(
        [_weighted(a, b, counts[k : k + step][:, owner], ranked) for k in range(0, resamples, step)]
    )
    low, high = interval(again[np.isfinite(again)])
    return Correlation(value, low, high, math.nan, n)


def _weighted(a: Floats, b: Floats, weights: Floats, ranked: bool) -> Floats:
    """Coefficients of points (n,) that stand as often as each row of weights (k, n) says; NaN if constant."""
    x, y = (_ranks(series, weights) if ranked else series[None] for series in (a, b))
    total = weights.sum(axis=1, keepdims=True)
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    size = np.sqrt((weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1))
    return np.divide((weights * x * y).sum(axis=1), size, out=np.full(size.shape, np.nan), where=size > 1e-12)


def _ranks(series: Floats, weights: Floats) -> Floats:
    """Ranks (k, n) of values that stand as often as weights (k, n) say; ties share their mean rank."""
    values, place = np.unique(series, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(values)))
    blocks = np.add.reduceat(weights[:, order], starts, axis=1)
    ranks = np.cumsum(blocks, axis=1) - blocks + (blocks + 1) / 2
    return np.asarray(ranks[:, place])
