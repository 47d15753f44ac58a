"""How alike two sets of states of the same tokens are: of layers, of checkpoints, of conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
        a, b = ([_gram(states) for states in layers] for layers in (first, second))
        n = len(a[0])
        if n < 4 or any(len(gram) != n for gram in (*a, *b)):
            raise ValueError("every layer needs the same tokens, at least four of them")
        self.batches += 1
        self._between += np.array([[_hsic(k, m) for m in b] for k in a])
        self._first += [_hsic(k, k) for k in a]
        self._second += [_hsic(m, m) for m in b]

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
        scale = np.sqrt(np.maximum(np.outer(self._first, self._second), 0))
        return np.divide(self._between, scale, out=np.full_like(scale, np.nan), where=scale > 0)


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


def _hsic(k: Floats, m: Floats) -> float:
    """Song et al. (2012), eq. 5, of Gram matrices (n, n) with zero diagonals."""
    n = len(k)
    rows_k, rows_m = k.sum(axis=0), m.sum(axis=0)
    ones = rows_k.sum() * rows_m.sum() / ((n - 1) * (n - 2))
    return float((np.vdot(k, m) + ones - 2 * rows_k @ rows_m / (n - 2)) / (n * (n - 3)))
