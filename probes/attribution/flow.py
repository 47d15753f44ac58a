"""Attention flow: how much can pass from an input token to a query, with attention as the width of pipes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.attribution.rollout import RESIDUAL, mixed

SCALE = 1 << 24
"""Capacities are whole numbers of this part of 1: each pipe is rounded by 3e-8 at most."""


def edges(layers: int, tokens: int) -> int:
    """Pipes in the graph of a causal model: by them the time is told before."""
    return layers * tokens * (tokens + 1) // 2


def flow(
    layers: Sequence[NDArray[np.floating]],
    query: int,
    inputs: ArrayLike,
    residual: float = RESIDUAL,
    *,
    done: Callable[[int], None] = lambda count: None,
) -> NDArray[np.float32]:
    """The maximum flow from each of some inputs to one token of the last layer, float32 (inputs,), 0..1.

    Abnar & Zuidema (ACL 2020, section 3): the graph has a node for each token at each layer; token i of
    layer l draws from token j of the layer before through a pipe of width Ã_l[i, j] (`mixed`). All that
    enters a query adds up to 1, so its flow from one token is at most 1. Flows from several inputs compete
    for the same pipes, so theirs do not add up to anything.

    Args:
        layers: attention (tokens, tokens) of each, the first layer first.
        query: the token of the last layer.
        inputs: tokens of the first layer, int (inputs,).
        done: told how many of the inputs are done.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_flow

    wanted = np.asarray(inputs, dtype=np.int64)
    capacities = [np.rint(mixed(attention, residual) * SCALE).astype(np.int32) for attention in layers]
    # Only what the query draws from, layer by layer, can carry anything.
    reached: NDArray[np.bool_] = np.zeros(capacities[0].shape[-1], dtype=bool)
    reached[query] = True
    tails, heads, widths = [], [], []
    tokens, top = len(reached), len(capacities)
    for level in range(top, 0, -1):
        own = capacities[level - 1] * reached[:, None]
        to, of = np.nonzero(own)
        heads.append(level * tokens + to)
        tails.append((level - 1) * tokens + of)
        widths.append(own[to, of])
        reached = np.asarray(own.any(axis=0))
    size = (top + 1) * tokens
    # Backwards, from the query to an input: the flow is the same, and it is found from the narrow end.
    graph = csr_array(
        (np.concatenate(widths), (np.concatenate(heads), np.concatenate(tails))), shape=(size, size)
    )
    out = np.zeros(len(wanted), dtype=np.float32)
    for k, token in enumerate(wanted.tolist()):
        if reached[token]:
            out[k] = maximum_flow(graph, top * tokens + query, token).flow_value / SCALE
        done(k + 1)
    return out
