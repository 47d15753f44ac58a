"""How alike one visual token is to all the others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDING = 1e-6
"""Part of a token's length below which what centring leaves of it is rounding of float32, and counts as 0."""


def unit(states: ArrayLike, *, centre: bool = False) -> NDArray[np.float32]:
    """Tokens scaled to length 1: x / |x|.

    A zero vector stays zero, so its cosine to every token is 0, as in scikit-learn. NaN and infinity become
    NaN: a token that is not finite is like no other, and says so.

    Args:
        states: (..., tokens, width).
        centre: subtract the mean token of each image first. Hidden states often share one large direction
            that makes every cosine high; centring removes it, and the mean cosine is then about 0. What is
            left of tokens that are all the same is zero.

    Raises:
        ValueError: without an axis of tokens.
    """
    x = np.asarray(states, dtype=np.float32)
    if x.ndim < 2:
        raise ValueError(f"states must have shape (..., tokens, width), not {x.shape}")
    if centre:
        before = np.linalg.norm(x, axis=-1, keepdims=True)
        x = (x - x.mean(axis=-2, keepdims=True, dtype=np.float64)).astype(np.float32)
        x[(np.linalg.norm(x, axis=-1, keepdims=True) <= ROUNDING * before)[..., 0]] = 0.0
    length: NDArray[Any] = np.linalg.norm(x, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.divide(x, length, out=np.zeros_like(x), where=length != 0)


def similarity_map(
    states: ArrayLike, token: int, rows: int, cols: int, *, centre: bool = False
) -> NDArray[np.float32]:
    """Cosine of one token to every token, as a map float32 (rows, cols) in -1..1.

        s_j = x_i . x_j / (|x_i| |x_j|)

    The picture of PRe (arXiv 2603.20808, patch similarity maps): in a degraded layer the similarity of a
    patch bleeds over other objects. The cosine is presumed there, so it is our operationalisation.

    Args:
        states: (rows * cols, width), tokens in row-major order.
        token: index of the query patch, 0..rows*cols-1.
        rows: rows of the grid.
        cols: columns of the grid.
        centre: subtract the mean token first (see `unit`).

    Raises:
        ValueError: when the grid does not fit the tokens or the token lies outside it.
    """
    x = unit(states, centre=centre)
    if x.ndim != 2 or len(x) != rows * cols:
        raise ValueError(f"{rows} x {cols} patches need states ({rows * cols}, width), not {x.shape}")
    if not 0 <= token < len(x):
        raise ValueError(f"token {token} is outside 0..{len(x) - 1}")
    return np.clip(x @ x[token], -1.0, 1.0).reshape(rows, cols)
