"""Attention between kinds of tokens, and attention weighted by what the values are."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray


def shares(weights: ArrayLike, kinds: ArrayLike, count: int) -> NDArray[np.float64]:
    """What part of each row (..., keys) falls on each kind of key, float64 (..., count).

    kinds: int (keys,), the kind of each key, 0 … count − 1; negative ones belong to none.
    """
    a, k = np.asarray(weights, dtype=np.float64), np.asarray(kinds, dtype=np.int64)
    return np.stack([a[..., k == kind].sum(axis=-1) for kind in range(count)], axis=-1)


@dataclass
class Blocks:
    """Mean attention from kinds of queries to kinds of keys, gathered some queries at a time.

    kinds: int (tokens,) as in `shares`; count: how many there are; heads: of the layer.
    """

    kinds: NDArray[np.int64]
    count: int
    heads: int
    sums: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.sums = np.zeros((self.heads, self.count, self.count))

    def add(self, weights: ArrayLike, first: int) -> None:
        """Take the rows (heads, rows, tokens) of the queries from place `first` on."""
        told = shares(weights, self.kinds, self.count)
        own = self.kinds[first : first + told.shape[1]]
        for kind in range(self.count):
            self.sums[:, kind] += told[:, own == kind].sum(axis=1)

    def means(self) -> NDArray[np.float64]:
        """What a query of a kind gives to each kind of key, on average: float64 (heads, from, to).

        A row sums to 1 where its queries' rows do. NaN where there is no query of the kind.
        """
        found = np.array([(self.kinds == kind).sum() for kind in range(self.count)], dtype=np.float64)
        return self.sums / np.where(found > 0, found, np.nan)[None, :, None]


def value_weighted(weights: ArrayLike, norms: ArrayLike) -> NDArray[np.float64]:
    """What each key adds to the output in length: |A| · ‖f(x)‖, each row brought to the sum there was.

    Kobayashi et al. (EMNLP 2020, section 3: ‖α f(x)‖, f(x) = (x W_V + b_V) W_O), one head at a time; that
    rows keep their sum, so that shares can be read off, is ours. A row whose values are all 0 stays 0.

    weights: (..., heads, rows, keys); norms: (..., heads, keys).
    """
    a = np.asarray(weights, dtype=np.float64)
    long = np.abs(a) * np.asarray(norms, dtype=np.float64)[..., None, :]
    total = long.sum(axis=-1, keepdims=True)
    scale = np.divide(a.sum(axis=-1, keepdims=True), total, where=total > 0, out=np.zeros_like(total))
    return np.asarray(long * scale)
