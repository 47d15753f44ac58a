"""The shape of a cloud of tokens: in how many directions it spreads, how long they are, which stand out.

For all tokens of a data set, more than memory holds, see `covariance`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.covariance import components
from probes.similarity import ROUNDING, unit


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


def spectrum(states: ArrayLike) -> NDArray[np.float64]:
    """Share of the variance along each principal direction, largest first: (tokens, width) -> (directions,).

    At most min(tokens - 1, width) of them; they sum to 1. NaN where all tokens are equal but for rounding.

    Raises:
        ValueError: for another shape, fewer than two tokens, or a state that is not finite.
    """
    x = np.asarray(states, dtype=np.float64)
    if x.ndim != 2 or len(x) < 2 or not np.isfinite(x).all():
        raise ValueError(f"states must be finite and have shape (two or more tokens, width), not {x.shape}")
    size = np.sqrt((x * x).sum())
    values = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)[: min(len(x) - 1, x.shape[1])]
    total = (values**2).sum()
    if np.sqrt(total) <= ROUNDING * size:
        return np.full(len(values), np.nan)
    return np.asarray(values**2 / total)


def components_for(states: ArrayLike, share: float = 0.9) -> float:
    """How many principal components hold this `share` (0..1) of the variance: (tokens, width) -> a count.

    A second reading of PRe's PCA effective dimension, for which see `participation_ratio`; 90 % is our
    choice. NaN where all tokens are equal.

    Raises:
        ValueError: as `spectrum` does, and for a share outside 0..1.
    """
    return components(spectrum(states), share)


def feature_correlation(states: ArrayLike) -> float:
    """Mean absolute correlation of two different features over the tokens, 0..1: (tokens, width) -> a number.

    PRe (arXiv 2603.20808) reports that features become more correlated in degraded layers, without a
    formula; this is our operationalisation. Independent features of n tokens give about sqrt(2 / (pi n)), not
    0. Features that are constant take no part; NaN with fewer than two that vary.

    Raises:
        ValueError: for another shape, fewer than two tokens, or a state that is not finite.
    """
    x = np.asarray(states, dtype=np.float64)
    if x.ndim != 2 or len(x) < 2 or not np.isfinite(x).all():
        raise ValueError(f"states must be finite and have shape (two or more tokens, width), not {x.shape}")
    length = np.abs(x).max(axis=0)
    x = x - x.mean(axis=0)
    deviation = np.sqrt((x * x).mean(axis=0))
    varies = deviation > ROUNDING * length
    k = int(varies.sum())
    if k < 2:
        return float("nan")
    z = x[:, varies] / deviation[varies]
    return float((np.abs(z.T @ z / len(z)).sum() - k) / (k * (k - 1)))


def anisotropy(states: ArrayLike) -> NDArray[np.float64]:
    """Mean cosine of two different tokens of an image, -1..1: (..., tokens, width) -> (...).

    Near 0 where tokens point everywhere, near 1 where all share one direction: Ethayarajh (EMNLP 2019,
    section 3.3), there over a sample of words, here over all pairs. NaN with fewer than two tokens.
    """
    u = unit(states).astype(np.float64)
    n = u.shape[-2]
    if n < 2:
        return np.full(u.shape[:-2], np.nan)
    together = (u.sum(axis=-2) ** 2).sum(axis=-1)
    return np.asarray((together - (u * u).sum(axis=(-2, -1))) / (n * (n - 1)))


SINK = 6.0
"""Times the median absolute deviation above the median from which a token's norm counts as an outlier."""


@dataclass(frozen=True)
class Outliers:
    """Tokens whose norm stands out in their image.

    which: bool (..., tokens). norms: float64 (..., tokens). threshold: float64 (...), the norm from which a
    token counts.
    """

    which: NDArray[np.bool_]
    norms: NDArray[np.float64]
    threshold: NDArray[np.float64]


def outliers(states: ArrayLike, *, times: float = SINK, least: float = 2.0) -> Outliers:
    """Tokens far longer than the rest: (..., tokens, width).

    A token counts where its norm exceeds median + `times` * MAD of its image's norms and `least` medians, so
    that images whose norms hardly differ have none. Such tokens carry no local content in vision transformers
    (Darcet et al., ICLR 2024, "registers") and draw attention in language models ("sinks"); those works pick
    a cut-off by eye for each model, the rule here is ours.

    Raises:
        ValueError: without an axis of tokens.
    """
    x = np.asarray(states, dtype=np.float64)
    if x.ndim < 2:
        raise ValueError(f"states must have shape (..., tokens, width), not {x.shape}")
    norms = np.linalg.norm(x, axis=-1)
    middle = np.median(norms, axis=-1)
    deviation = np.median(np.abs(norms - middle[..., None]), axis=-1)
    threshold = np.maximum(middle + times * deviation, least * middle)
    return Outliers(norms > threshold[..., None], norms, threshold)


def token_norm(states: ArrayLike) -> NDArray[np.float64]:
    """Median over an image's tokens of their Euclidean length: (..., tokens, width) -> (...).

    The median, because a few outlier ("sink" or "register") tokens can be hundreds of times longer.
    """
    x = np.asarray(states, dtype=np.float64)
    return np.asarray(np.median(np.linalg.norm(x, axis=-1), axis=-1))
