"""Attention rollout: the layers' attention multiplied through, with the residual stream in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESIDUAL = 0.5
"""What of a token's state is its own from the layer before: half, in Abnar & Zuidema."""


def mixed(attention: ArrayLike, residual: float = RESIDUAL) -> NDArray[np.float32]:
    """Attention (..., tokens, tokens) with the residual stream: (1 − r) · A + r · I, its rows summing to 1.

    Abnar & Zuidema (ACL 2020, section 3: A = 0.5 W + 0.5 I, normalised). Rows that sum to less than 1, as
    where a score that stands for no token takes a share, are brought to 1 as well.

    Raises:
        ValueError: the attention is not square, or r lies outside 0..1.
    """
    a = np.asarray(attention, dtype=np.float32)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError(f"attention must have shape (..., tokens, tokens), not {a.shape}")
    if not 0 <= residual <= 1:
        raise ValueError(f"the residual's share must lie between 0 and 1; it is {residual}")
    out = (1 - residual) * a
    diagonal = np.arange(a.shape[-1])
    out[..., diagonal, diagonal] += residual
    return np.asarray(out / out.sum(axis=-1, keepdims=True))


def rollout(layers: Sequence[NDArray[np.floating]], residual: float = RESIDUAL) -> NDArray[np.float32]:
    """What each token of each layer is made of, float32 (layers, tokens, tokens): rows sum to 1.

    Row i of layer l says how much of the first layer's tokens is in token i once l layers have attended:
    Ã_l Ã_(l−1) … Ã_1, Ã being `mixed` (Abnar & Zuidema 2020, equation 1).

    layers: attention (tokens, tokens) of each, the first layer first, one head or a mean over heads.
    """
    out: list[NDArray[np.float32]] = []
    for attention in layers:
        own = mixed(attention, residual)
        out.append(own @ out[-1] if out else own)
    return np.stack(out)


def rollout_rows(
    layers: Sequence[NDArray[np.floating]], rows: ArrayLike, residual: float = RESIDUAL
) -> NDArray[np.float32]:
    """The same for some tokens alone: float32 (layers, rows, tokens), from the last factor to the first.

    That is layers²/2 products of rows × tokens × tokens, where `rollout` takes as many of tokens³ as there
    are layers.
    """
    own = [mixed(attention, residual) for attention in layers]
    start = np.eye(own[0].shape[-1], dtype=np.float32)[np.asarray(rows, dtype=np.int64)]
    out = []
    for last in range(len(own)):
        here = start
        for attention in reversed(own[: last + 1]):
            here = here @ attention
        out.append(here)
    return np.stack(out)
