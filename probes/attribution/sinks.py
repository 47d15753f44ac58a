"""Sinks: tokens that draw attention, or grow long, without saying anything of their place.

Three ways to tell them, from three literatures; none is the others'. Xiao et al. (ICLR 2024) saw that first
tokens are attended to whatever they say; Gu et al. (ICLR 2025) measure it by the attention a token receives
on average. Darcet et al. (ICLR 2024) saw patches of vision towers whose norms stand out. Kang et al. (ICLR
2025) tell a visual sink by the few dimensions in which its state is massive, which are those of the first
token.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.geometry import SINK

MASSIVE = 20.0
"""Times its root mean square from which a dimension of a state is massive: τ of Kang et al. (section 4.1)."""


class Received:
    """The attention that each key gets on average of the queries that see it, gathered some at a time.

    Gu et al. (2025, section 3): α_k = mean over i ≥ k of A[i, k], there of one head, here also over heads. In
    a model whose image tokens see one another the queries are those that give it anything at all.
    """

    def __init__(self, keys: int) -> None:
        self.sums = np.zeros(keys)
        self.counts = np.zeros(keys, dtype=np.int64)

    def add(self, weights: ArrayLike) -> None:
        """Take some queries' weights (heads, queries, keys)."""
        mean = np.asarray(weights, dtype=np.float64).mean(axis=0)
        self.sums += mean.sum(axis=0)
        self.counts += (mean > 0).sum(axis=0)

    def means(self) -> NDArray[np.float64]:
        """Float64 (keys,), 0..1; NaN where no query sees a key."""
        return self.sums / np.where(self.counts > 0, self.counts, np.nan)


def standing_out(values: ArrayLike, *, times: float = SINK, least: float = 2.0) -> NDArray[np.bool_]:
    """Which numbers of a last axis stand out above the rest: bool (..., tokens). NaN never does.

    Above median + `times` median absolute deviations and above `least` medians: the rule of
    `probes.geometry.outliers`, ours, here of any number that tokens have (attention received, norms).
    """
    x = np.asarray(values, dtype=np.float64)
    middle = np.nanmedian(x, axis=-1, keepdims=True)
    deviation = np.nanmedian(np.abs(x - middle), axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.asarray(x > np.maximum(middle + times * deviation, least * middle))


def massive_dimensions(state: ArrayLike, threshold: float = MASSIVE) -> NDArray[np.int64]:
    """The dimensions (dims,) in which a state (..., width) is massive: those of the first token are sinks'.

    A dimension counts where it is so many times the state's root mean square in any of the states.
    """
    x = np.abs(np.asarray(state, dtype=np.float64)).reshape(-1, np.shape(state)[-1])
    size = np.sqrt((x**2).mean(axis=-1, keepdims=True))
    return np.flatnonzero((x >= threshold * np.where(size > 0, size, np.inf)).any(axis=0))


def massive(states: ArrayLike, dimensions: ArrayLike) -> NDArray[np.float64]:
    """How massive states (..., tokens, width) are in the sinks' dimensions, float64 (..., tokens).

    φ(x) = max over d in D of |x[d]| / RMS(x) (Kang et al. 2025, equation 5); a token is a sink from MASSIVE
    on. 0 where there are no such dimensions.
    """
    x, d = np.asarray(states, dtype=np.float64), np.asarray(dimensions, dtype=np.int64)
    if not len(d):
        return np.zeros(x.shape[:-1])
    size = np.sqrt((x**2).mean(axis=-1))
    return np.asarray(np.abs(x[..., d]).max(axis=-1) / np.where(size > 0, size, np.inf))


def without(weights: ArrayLike, which: ArrayLike) -> NDArray[np.float64]:
    """Rows (..., keys) with these keys' weights taken out and the rest brought to the sum there was.

    which: bool (..., keys), broadcast. A row that has nothing else is 0 everywhere.
    """
    a = np.asarray(weights, dtype=np.float64)
    kept = np.where(which, 0.0, a)
    left = kept.sum(axis=-1, keepdims=True)
    return np.asarray(kept * np.divide(a.sum(axis=-1, keepdims=True), left, where=left > 0, out=0 * left))
