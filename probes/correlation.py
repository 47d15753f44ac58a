"""Correlation of two short series, with what a small number of points allows to say about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations as orders

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from probes.bootstrap import interval

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
        a, b = rankdata(a, axis=1), rankdata(b, axis=1)
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    size = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.divide((a * b).sum(axis=1), size, out=np.full(size.shape, np.nan), where=size > 1e-12)
