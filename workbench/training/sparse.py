"""Masked attention in time that grows with what is seen, not with the square of the sequence.

A packed sequence holds many blocks that see few others. Its queries are cut into short runs, its keys and
values into pieces at every place where what a run sees begins or ends; a run then attends to its own pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.models.bagel.language import Attend

RUN = 96
"""Most queries that attend together: fewer leave more keys out, more make larger products."""


@dataclass(frozen=True)
class _Run:
    """Some queries: how many, the pieces of keys that one of them sees, and what to add to the scores."""

    length: int
    pieces: list[int]
    bias: Tensor | None


def sparse(mask: Tensor, starts: Sequence[int]) -> Attend:
    """Attention under a bool mask (B, 1, n, n), true where a query (row) sees a key.

    starts: where blocks begin; a run never holds two of them. Each query must see a key. Equal to masked
    attention over all keys (tested).
    """
    n = mask.shape[-1]
    blocks = pairwise(sorted({0, n, *starts}))
    cuts = [cut for first, last in blocks for cut in range(first, last, RUN)] + [n]
    bounds = list(pairwise(cuts))
    seen = mask[:, 0].any(0)
    spans = [_spans(seen[first:last].any(0)) for first, last in bounds]
    edges = sorted({0, n, *(edge for found in spans for span in found for edge in span)})
    sizes = [last - first for first, last in pairwise(edges)]
    runs: list[_Run] = []
    for (first, last), found in zip(bounds, spans, strict=True):
        pieces = [i for i, edge in enumerate(edges[:-1]) if any(a <= edge < b for a, b in found)]
        allowed = torch.cat([mask[:, :, first:last, a:b] for a, b in found], -1)
        runs.append(_Run(last - first, pieces, _bias(allowed)))

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values, out = k.split(sizes, 2), v.split(sizes, 2), []
        for run, queries in zip(runs, q.split([run.length for run in runs], 2), strict=True):
            own = torch.cat([keys[i] for i in run.pieces], 2)
            told = torch.cat([values[i] for i in run.pieces], 2)
            out.append(
                F.scaled_dot_product_attention(queries, own, told, attn_mask=run.bias, enable_gqa=True)
            )
        return torch.cat(out, 2)

    return attend


def _spans(seen: Tensor) -> list[tuple[int, int]]:
    """Start and end of every unbroken stretch of a bool vector (n,)."""
    edges = F.pad(seen.int(), (1, 1)).diff().nonzero()[:, 0].tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def _bias(allowed: Tensor) -> Tensor | None:
    """0 where a bool mask is true, minus infinity elsewhere; None where everything is seen."""
    if allowed.all():
        return None
    return torch.zeros(allowed.shape, device=allowed.device).masked_fill_(~allowed, -torch.inf)
