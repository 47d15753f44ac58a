"""Gradient × attention, rolled out over the layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def relevancy(weights: Sequence[Tensor], gradients: Sequence[Tensor], queries: Tensor) -> Tensor:
    """What each token means to some of the last layer's queries, float32 (tokens,), the mean over them.

        R = I;  from the first layer on:  R = R + E_h[(grad A · A)+] R

    Chefer et al. 2021 (arXiv 2103.15679, equations 5 and 6), of self-attention. Only the rows of the queries
    are carried, from the last layer to the first, which is the same product from its other end: memory is
    queries × tokens beside one layer's weights. What the query means to itself by the identity counts too.

    Args:
        weights: each layer's A, (heads, tokens, tokens), the first layer first.
        gradients: of the explained number by them, the same shapes.
        queries: int64 (queries,), places.

    Raises:
        ValueError: there are no layers, or their numbers differ.
    """
    import torch

    if not weights or len(weights) != len(gradients):
        raise ValueError(f"{len(weights)} layers' weights do not fit {len(gradients)} layers' gradients")
    tokens = weights[0].shape[-1]
    rows = torch.zeros(len(queries), tokens, device=weights[0].device)
    rows[torch.arange(len(queries)), queries.to(rows.device)] = 1
    for own, slope in zip(reversed(weights), reversed(gradients), strict=True):
        mean = (slope.float() * own.detach().float()).clamp(min=0).mean(dim=0)
        rows = rows + rows.to(mean.device) @ mean
    return rows.mean(dim=0)
