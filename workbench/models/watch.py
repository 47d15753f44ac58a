"""Attention weights of chosen queries, computed beside the fast kernel that computes the output.

Every attention of a model passes through `observe` with its queries and keys. As long as nobody watches, that
costs one look at a thread's own variable; who watches gets the softmax of the asked rows only, in float32.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Watch = Callable[[nn.Module, "Seen"], None]
_here = threading.local()


class Seen:
    """One call of an attention: what its weights are computed from.

    query (B, heads, N, d) and key (B, key heads, K, d), after positions were rotated in; mask: bool (true:
    may attend) or added to the scores, broadcast to (B, heads, N, K); causal: no query sees a later key.
    """

    def __init__(self, query: Tensor, key: Tensor, mask: Tensor | None, causal: bool, scale: float) -> None:
        self.query, self.key, self.mask, self.causal, self.scale = query, key, mask, causal, scale

    def rows(self, queries: Tensor) -> Tensor:
        """The weights of the queries at these places, int64 (R,): float32 (B, heads, R, K)."""
        query, key = self.query[:, :, queries].float(), self.key.float()
        # Heads that share keys stand side by side: their rows meet those keys in one product, uncopied.
        shared = query.unflatten(1, (key.shape[1], -1)).flatten(2, 3)
        scores = (shared @ key.transpose(-1, -2) * self.scale).view(*query.shape[:3], key.shape[2])
        if self.mask is not None:
            mask = self.mask if self.mask.shape[-2] == 1 else self.mask[..., queries, :]
            mask = mask[..., : key.shape[2]]
            if mask.dtype == torch.bool:
                scores = scores.masked_fill(~mask, -torch.inf)
            else:
                scores = scores + mask.float()
        elif self.causal:
            later = torch.arange(key.shape[2], device=key.device)[None] > queries[:, None]
            scores = scores.masked_fill(later, -torch.inf)
        return scores.softmax(-1)


def observe(
    module: nn.Module, query: Tensor, key: Tensor, mask: Tensor | None, causal: bool, scale: float | None
) -> None:
    """Show one call of an attention to whoever watches in this thread."""
    watch: Watch | None = getattr(_here, "watch", None)
    if watch is not None:
        watch(module, Seen(query, key, mask, causal, query.shape[-1] ** -0.5 if scale is None else scale))


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Have every attention of this thread shown to `watch` while the body runs."""
    before = getattr(_here, "watch", None)
    _here.watch = watch
    try:
        yield
    finally:
        _here.watch = before
