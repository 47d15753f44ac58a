"""The shape of a cloud of tokens: in how many directions it spreads, and how long its vectors are."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.similarity import ROUNDING


def participation_ratio(states: ArrayLike) -> NDArray[np.float64]:
    """Effective dimension of each image's tokens: (sum of eigenvalues)^2 / sum of squared eigenvalues.

    The eigenvalues are those of the covariance of the tokens: 1 when all spread lies along one direction,
    `width` when every direction has the same variance. At most tokens - 1. NaN when all tokens are equal but
    for rounding, and where a state is not finite. Both sums come without an eigendecomposition: trace(C) and
    |C|_F^2, from the smaller Gram matrix.

    PRe (arXiv 2603.20808, on visual sacrifice) speaks of a PCA effective dimension without a formula; the
    participation ratio (Gao et al. 2017, bioRxiv 214262) is our operationalisation.

    Args:
        states: (..., tokens, width) -> (...).

    Raises:
        ValueError: without an axis of tokens.
    """
    x = np.asarray(states, dtype=np.float64)
    if x.ndim < 2:
        raise ValueError(f"states must have shape (..., tokens, width), not {x.shape}")
    size = (x * x).sum(axis=(-2, -1))
    x = x - x.mean(axis=-2, keepdims=True)
    across = np.swapaxes(x, -1, -2)
    gram = x @ across if x.shape[-2] <= x.shape[-1] else across @ x
    trace = np.trace(gram, axis1=-2, axis2=-1)
    square = (gram * gram).sum(axis=(-2, -1))
    spreads = trace > ROUNDING**2 * size
    return np.asarray(np.divide(trace**2, square, out=np.full_like(trace, np.nan), where=spreads))


def token_norm(states: ArrayLike) -> NDArray[np.float64]:
    """Median over an image's tokens of their Euclidean length: (..., tokens, width) -> (...).

    The median, because a few outlier ("sink" or "register") tokens can be hundreds of times longer.
    """
    x = np.asarray(states, dtype=np.float64)
    return np.asarray(np.median(np.linalg.norm(x, axis=-1), axis=-1))
