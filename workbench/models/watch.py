"""Attention weights of chosen queries, computed beside the fast kernel that computes the output.

Every attention of a model shows its queries, keys and values here (`attend`, and `hf/kernels.py` for
transformers' own). As long as nobody watches, that costs one look at a thread's own variable; who watches
gets the softmax of the asked rows only, in float32. `meddle.py` is for those who change what is attended to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

_here = threading.local()


@dataclass(frozen=True)
class Seen:
    """One call of an attention: what its weights are computed from.

    query (B, heads, N, d) and key (B, key heads, K, d), after positions were rotated in; mask: bool (true:
    may attend) or added to the scores, broadcast to (B, heads, N, K); causal: no query sees a later key.

    window: a query sees fewer keys than that before itself and, where it sees later ones, after itself.
    cap: scores s count as cap · tanh(s / cap). bias: added to the scores, broadcast as the mask. sinks: a
    score (heads,) that takes its share of the softmax and stands for no key, so that rows sum to less than 1.
    value (B, key heads, K, dv): what the weights are multiplied with.
    """

    query: Tensor
    key: Tensor
    mask: Tensor | None
    causal: bool
    scale: float
    window: int | None = None
    cap: float | None = None
    bias: Tensor | None = None
    sinks: Tensor | None = None
    value: Tensor | None = None

    @property
    def queries(self) -> int:
        """How many there are, N."""
        return self.query.shape[2]

    @property
    def keys(self) -> int:
        """How many there are, K."""
        return self.key.shape[2]

    @property
    def entries(self) -> int:
        """How many stand side by side in the batch axis and do not see one another, B."""
        return self.query.shape[0]

    def entry(self, index: int) -> Seen:
        """One of them alone."""

        def own(x: Tensor | None) -> Tensor | None:
            return x[index : index + 1] if x is not None and x.ndim == 4 and len(x) > 1 else x

        query, key = (x[index : index + 1] for x in (self.query, self.key))
        value = None if self.value is None else self.value[index : index + 1]
        return replace(self, query=query, key=key, value=value, mask=own(self.mask), bias=own(self.bias))

    def rows(self, queries: Tensor) -> Tensor:
        """The weights of the queries at these places, int64 (R,): float32 (B, heads, R, K)."""
        queries = queries.to(self.query.device)
        query, key = self.query[:, :, queries].float(), self.key.float()
        # Heads that share keys stand side by side: their rows meet those keys in one product, uncopied.
        shared = query.unflatten(1, (key.shape[1], -1)).flatten(2, 3)
        scores = (shared @ key.transpose(-1, -2) * self.scale).view(*query.shape[:3], key.shape[2])
        if self.cap is not None:
            scores = self.cap * torch.tanh(scores / self.cap)
        for added in (self.bias, self.mask):
            if added is None:
                continue
            added = (added if added.shape[-2] == 1 else added[..., queries, :])[..., : key.shape[2]]
            if added.dtype == torch.bool:
                scores = scores.masked_fill(~added, -torch.inf)
            else:
                scores = scores + added.float()
        later = torch.arange(key.shape[2], device=key.device)[None] - queries[:, None]
        if self.causal:
            scores = scores.masked_fill(later > 0, -torch.inf)
        if self.window is not None:
            scores = scores.masked_fill(later.abs() >= self.window, -torch.inf)
        if self.sinks is None:
            return scores.softmax(-1)
        sinks = self.sinks.float().view(1, -1, 1, 1).expand(*scores.shape[:3], 1)
        return torch.cat([scores, sinks], dim=-1).softmax(-1)[..., :-1]


@dataclass(frozen=True)
class Computed:
    """One call of an attention that computes all of its weights, (B, heads, N, K); value as in `Seen`."""

    weights: Tensor
    value: Tensor | None = None

    @property
    def queries(self) -> int:
        """How many there are, N."""
        return self.weights.shape[2]

    @property
    def keys(self) -> int:
        """How many there are, K."""
        return self.weights.shape[3]

    @property
    def entries(self) -> int:
        """As in `Seen`."""
        return self.weights.shape[0]

    def entry(self, index: int) -> Computed:
        """As in `Seen`."""
        value = None if self.value is None else self.value[index : index + 1]
        return Computed(self.weights[index : index + 1], value)

    def rows(self, queries: Tensor) -> Tensor:
        """As `Seen.rows`."""
        return self.weights[:, :, queries.to(self.weights.device)].float()


Watch = Callable[[nn.Module, Seen | Computed], None]


def watched() -> bool:
    """Whether anybody watches in this thread."""
    return getattr(_here, "watch", None) is not None


def show(module: nn.Module, seen: Seen | Computed) -> None:
    """Hand one call to whoever watches in this thread."""
    watch: Watch | None = getattr(_here, "watch", None)
    if watch is not None:
        watch(module, seen)


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Have every attention of this thread shown to `watch` while the body runs."""
    before = getattr(_here, "watch", None)
    _here.watch = watch
    try:
        yield
    finally:
        _here.watch = before
