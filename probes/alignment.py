"""How alike two sets of states of the same tokens are: of layers, of checkpoints, of conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.bootstrap import Score, interval, resampled_sums
from probes.similarity import unit

Floats = NDArray[np.float64]


def token_cosine(states: ArrayLike, reference: ArrayLike) -> Floats:
    """Cosine of each token with itself in other states: two (..., tokens, width) -> (..., tokens), -1..1.

    To the initial features it is what PRe (arXiv 2603.20808) regularises towards, there behind a predictor.
    Both need one width, and one basis: between layers of a residual stream, or one layer in two conditions.

    Raises:
        ValueError: when shapes disagree.
    """
    a, b = unit(states), unit(reference)
    if a.shape != b.shape:
        raise ValueError(f"states {a.shape} and reference {b.shape} must have one shape")
    return np.asarray((a.astype(np.float64) * b).sum(axis=-1))


class LinearCKA:
    """Linear CKA of every layer of one list with every layer of another, unbiased, batch by batch.

        CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)),   K = X X^T, L = Y Y^T

    Kornblith et al. (ICML 2019, section 3); HSIC is the unbiased estimator of Song et al. (JMLR 2012, eq. 5),
    averaged over batches before the quotient as Nguyen, Raghu and Kornblith do (ICLR 2021, section 3.1), so
    memory does not grow with the tokens. 1 for states that are a rotation and a scale apart, about 0 for
    independent ones (an unbiased estimate can be a little below).
    """

    def __init__(self, first: int, second: int) -> None:
        """Start empty, for so many layers in each list."""
        self.batches = 0
        self._between = np.zeros((first, second))
        self._first, self._second = np.zeros(first), np.zeros(second)

    def update(self, first: Sequence[ArrayLike], second: Sequence[ArrayLike]) -> None:
        """Add a batch: for each layer states (n, width), rows the same n tokens in all of them, n >= 4.

        Raises:
            ValueError: when the number of layers or rows is another, or a state is not finite.
        """
        if (len(first), len(second)) != self._between.shape:
            raise ValueError(f"{len(first)} and {len(second)} layers, where there were {self._between.shape}")
        n = len(np.asarray(first[0]))
        if n < LEAST_ROWS or any(len(np.asarray(states)) != n for states in (*first, *second)):
            raise ValueError("every layer needs the same tokens, at least four of them")
        a = np.stack([_gram(states) for states in first])
        b = a if second is first else np.stack([_gram(states) for states in second])
        self.batches += 1
        self._between += _hsic(a, b)
        self._first += _own(a)
        self._second += _own(b)

    def held(self) -> dict[str, Floats]:
        """Everything gathered so far, by name: what `restore` takes."""
        sums = {"between": self._between, "first": self._first, "second": self._second}
        return sums | {"batches": np.array([self.batches], dtype=np.float64)}

    def restore(self, held: Mapping[str, Floats]) -> None:
        """Go on from what an earlier one held."""
        self.batches = int(held["batches"][0])
        self._between, self._first, self._second = (
            np.array(held[name], dtype=np.float64) for name in ("between", "first", "second")
        )

    @property
    def value(self) -> Floats:
        """(first, second); NaN where a layer's tokens are all the same, and before the first batch."""
        return _quotient(self._between, self._first, self._second)


LEAST_ROWS = 4
"""That the unbiased estimate of a block needs."""
LEAST_BLOCKS = 8
"""Blocks below which resampling them says nothing of how far the number may be off. Ours."""


@dataclass(frozen=True)
class BlockCKA:
    """Linear CKA of layers whose Gram matrices were kept, summed over blocks of rows.

    value: (first, second), NaN where it is not known. between (blocks, first, second), first (blocks, first)
    and second (blocks, second): unbiased HSIC of each block.
    """

    between: Floats
    first: Floats
    second: Floats

    @property
    def value(self) -> Floats:
        """CKA of every layer of the one with every layer of the other."""
        return _quotient(self.between.sum(axis=0), self.first.sum(axis=0), self.second.sum(axis=0))

    def score(self, i: int, k: int, n: int, *, resamples: int, seed: int) -> Score:
        """CKA of one pair with the interval from resampling blocks, which hold n images in all."""
        sums = np.stack([self.between[:, i, k], self.first[:, i], self.second[:, k]], axis=1)
        if len(sums) < LEAST_BLOCKS:
            drawn = np.full(resamples, np.nan)
        else:
            a, b, c = resampled_sums(sums, resamples=resamples, seed=seed).T
            scale = np.sqrt(np.maximum(b * c, 0))
            drawn = np.divide(a, scale, out=np.full_like(a, np.nan), where=scale > 0)
        return Score(float(self.value[i, k]), *interval(drawn), n, len(sums), drawn)


def packed_gram(states: ArrayLike) -> Floats:
    """Inner products of each two rows of (n, width), centred: (n (n - 1) / 2,), as `block_cka` takes them.

    Rows that hold NaN are missing: so are their products.
    """
    x = np.asarray(states, dtype=np.float64)
    known = np.isfinite(x).all(axis=1)
    gram = np.full((len(x), len(x)), np.nan)
    if known.any():
        gram[np.ix_(known, known)] = _gram(x[known])
    return np.asarray(gram[np.triu_indices(len(x), 1)])


def block_cka(first: ArrayLike, second: ArrayLike) -> BlockCKA:
    """What `LinearCKA` gives of the same blocks, from kept Gram matrices: the states may be gone.

    Args:
        first: of each layer and block the `packed_gram` of its rows, (layers, blocks, pairs).
        second: likewise, of the same rows; any number of layers.

    Rows that one of the layers lacks are left out of all; blocks of fewer than four are left out, too.

    Raises:
        ValueError: when blocks or rows are not as many in both.
    """
    a, b = np.asarray(first), np.asarray(second)
    if a.ndim != 3 or b.ndim != 3 or a.shape[1:] != b.shape[1:]:
        raise ValueError(f"Gram matrices {a.shape} and {b.shape} are not of the same blocks of rows")
    rows = round((1 + np.sqrt(1 + 8 * a.shape[2])) / 2)
    upper = np.triu_indices(rows, 1)
    between, one, other = [], [], []
    for block in range(a.shape[1]):
        full = np.zeros((len(a) + len(b), rows, rows))
        full[:, upper[0], upper[1]] = np.concatenate([a[:, block], b[:, block]])
        full += full.transpose(0, 2, 1)
        there = np.isfinite(full)
        there[:, range(rows), range(rows)] = False
        known = there.any(axis=2).all(axis=0)
        if known.sum() < LEAST_ROWS:
            continue
        grams = full[:, known][:, :, known]
        between.append(_hsic(grams[: len(a)], grams[len(a) :]))
        one.append(_own(grams[: len(a)]))
        other.append(_own(grams[len(a) :]))
    return BlockCKA(
        np.array(between).reshape(-1, len(a), len(b)),
        np.array(one).reshape(-1, len(a)),
        np.array(other).reshape(-1, len(b)),
    )


def linear_cka(first: ArrayLike, second: ArrayLike) -> float:
    """Unbiased linear CKA of states (n, width) and (n, other width) of the same n >= 4 tokens."""
    found = LinearCKA(1, 1)
    found.update([first], [second])
    return float(found.value[0, 0])


def _gram(states: ArrayLike) -> Floats:
    """Inner products without the diagonal; rows are centred first, which changes nothing but rounding."""
    x = np.asarray(states, dtype=np.float64)
    if x.ndim != 2 or not np.isfinite(x).all():
        raise ValueError(f"states must be finite and have shape (n, width), not {x.shape}")
    x = x - x.mean(axis=0)
    gram = x @ x.T
    np.fill_diagonal(gram, 0.0)
    return gram


def _hsic(k: Floats, m: Floats) -> Floats:
    """Song et al. (2012), eq. 5, of Gram matrices (a, n, n) and (b, n, n) with zero diagonals: (a, b)."""
    n = k.shape[1]
    rows_k, rows_m = k.sum(axis=1), m.sum(axis=1)
    crossed = k.reshape(len(k), -1) @ m.reshape(len(m), -1).T
    ones = np.outer(rows_k.sum(axis=1), rows_m.sum(axis=1)) / ((n - 1) * (n - 2))
    return np.asarray((crossed + ones - 2 * rows_k @ rows_m.T / (n - 2)) / (n * (n - 3)))


def _own(k: Floats) -> Floats:
    """HSIC of each Gram matrix (a, n, n) with itself: (a,)."""
    return np.array([_hsic(gram[None], gram[None])[0, 0] for gram in k])


def _quotient(between: Floats, first: Floats, second: Floats) -> Floats:
    """CKA from sums of HSIC; NaN where a layer's tokens are all the same, and where there are none."""
    scale = np.sqrt(np.maximum(np.outer(first, second), 0))
    return np.divide(between, scale, out=np.full_like(scale, np.nan), where=scale > 0)
