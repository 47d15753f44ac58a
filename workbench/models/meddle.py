"""Changing what is attended to: blocking queries from keys, and weights that carry gradient.

Both act under the model's own kernels and in the calling thread only. `blocking` merges into the mask that
the kernel gets, so what is computed is what the kernel makes of it. `weighing` computes the attention of
chosen layers out in full, softmax in float32, and hands the weights out on the way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.errors import Refusal
from workbench.models.watch import Seen, show, watched

_here = threading.local()

Take = Callable[[int, Tensor], Tensor | None]
"""Given the number of the layer and its weights (B, heads, N, K); what it returns takes their place."""


class _Layers:
    """Which of some layers a module is a part of, and which of them have attended so far."""

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        chosen = list(layers)
        self.numbers = {id(part): k for k, layer in enumerate(chosen) for part in layer.modules()}
        self.waiting = set(range(len(chosen)))

    def number(self, module: nn.Module) -> int | None:
        """The number of the layer, which counts as having attended; None where it is none of them."""
        found = self.numbers.get(id(module))
        if found is not None:
            self.waiting.discard(found)
        return found

    def check(self) -> None:
        """Raise Refusal where a layer never came by."""
        if self.waiting:
            raise Refusal(
                f"{len(self.waiting)} of the chosen layers compute their attention past the kernel that is "
                "watched, so it cannot be changed. Open the model with another kernel: sdpa or eager."
            )


@dataclass(frozen=True)
class _Block:
    layers: _Layers
    queries: Tensor
    keys: Tensor


@dataclass
class _Acts:
    """What this thread's passes are changed by, innermost last."""

    blocks: list[_Block] = field(default_factory=list)
    takes: list[tuple[_Layers, Take]] = field(default_factory=list)


def _acts() -> _Acts:
    if not hasattr(_here, "acts"):
        _here.acts = _Acts()
    acts: _Acts = _here.acts
    return acts


@contextmanager
def blocking(layers: Iterable[nn.Module], queries: Tensor, keys: Tensor) -> Iterator[None]:
    """While the body runs, no query at these places attends to a key at those, in these layers.

    What is left of a row's softmax sums to 1 again: the scores count as minus infinity (attention knockout,
    Geva et al. 2023, arXiv 2304.14767, section 4). Contexts may be nested; each blocks what it says.

    Args:
        layers: as `Model.attending` names them, such as the layers of a window of the language model.
        queries, keys: int64, places in the sequence that these layers read. In a pass that goes on from kept
            keys they count from the beginning of what was read.

    Raises:
        Refusal: where a query would have nothing left to attend to, under flash attention, and, once the body
            is over, where one of the layers never attended by a kernel that is watched.
    """
    block = _Block(_Layers(layers), queries, keys)
    acts = _acts()
    acts.blocks.append(block)
    try:
        yield
    finally:
        acts.blocks.remove(block)
    block.layers.check()


@contextmanager
def weighing(layers: Iterable[nn.Module], take: Take) -> Iterator[None]:
    """While the body runs, these layers' attention is computed in full and `take` is given its weights.

    The output is weights @ values, as the kernel's within rounding. In grad mode the weights are part of the
    graph; where nothing before them needs a gradient `take` may ask for theirs (`requires_grad_`).
    Memory is heads × queries × keys for each layer and, with gradients, stays until the graph is freed.

    Raises:
        Refusal: under flash attention, and, once the body is over, as `blocking` does.
    """
    own = (_Layers(layers), take)
    acts = _acts()
    acts.takes.append(own)
    try:
        yield
    finally:
        acts.takes.remove(own)
    own[0].check()


def meddled() -> bool:
    """Whether anything is changed in this thread."""
    acts: _Acts | None = getattr(_here, "acts", None)
    return acts is not None and bool(acts.blocks or acts.takes)


def masked(
    module: nn.Module, query: Tensor, key: Tensor, mask: Tensor | None, causal: bool
) -> tuple[Tensor | None, bool]:
    """The mask that the kernel is to get instead, and whether it is to be causal besides."""
    own = [block for block in _acts().blocks if block.layers.number(module) is not None]
    if not own:
        return mask, causal
    new, all_ = query.shape[2], key.shape[2]
    device = query.device
    if mask is None:
        mask = torch.ones(1, 1, new, all_, dtype=torch.bool, device=device)
        mask = mask.tril() if causal else mask
    mask = mask[..., :all_]
    for block in own:
        # Queries of a pass that goes on from kept keys are the last ones of what was read.
        rows = block.queries.to(device) - (all_ - new)
        rows = rows[(rows >= 0) & (rows < new)]
        cols = block.keys.to(device)
        cut = torch.zeros(new, all_, dtype=torch.bool, device=device)
        cut[rows[:, None], cols[cols < all_][None]] = True
        low = False if mask.dtype == torch.bool else torch.finfo(mask.dtype).min
        mask = mask.masked_fill(cut, low)
        left = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
        if len(rows) and not bool(left[..., rows, :].any(-1).all()):
            raise Refusal(
                "A token would have nothing left to attend to, so its attention is not defined. Leave "
                "itself, or what stands before it, out of what is blocked."
            )
    return mask, False


def taker(module: nn.Module) -> Callable[[Tensor], Tensor] | None:
    """What is to be done with the weights of a module; None where they are not asked for."""
    own = [(number, take) for layers, take in _acts().takes if (number := layers.number(module)) is not None]
    if not own:
        return None

    def taken(weights: Tensor) -> Tensor:
        for number, take in own:
            changed = take(number, weights)
            weights = weights if changed is None else changed
        return weights

    return taken


def computed(seen: Seen, taken: Callable[[Tensor], Tensor]) -> Tensor:
    """The attention's output (B, heads, N, dv), from weights that were handed out."""
    return valued(taken(seen.rows(torch.arange(seen.queries))), seen.value)


def valued(weights: Tensor, value: Tensor | None) -> Tensor:
    """Weights (B, heads, N, K) @ values (B, key heads, K, dv), of the values' number type."""
    assert value is not None
    shared = weights.to(value.dtype).unflatten(1, (value.shape[1], -1))
    return (shared @ value[:, :, None]).flatten(1, 2)


def attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool
) -> Tensor:
    """Torch's scaled_dot_product_attention, shown to whoever watches and changed by whoever meddles.

    query (B, heads, N, d), key and value (B, key heads, K, d): output (B, heads, N, d).
    """
    changed = meddled()
    if changed:
        mask, causal = masked(module, query, key, mask, causal)
    if changed or watched():
        seen = Seen(query, key, mask, causal, query.shape[-1] ** -0.5, value=value)
        show(module, seen)
        if changed and (taken := taker(module)) is not None:
            return computed(seen, taken)
    return F.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=causal, enable_gqa=key.shape[1] != query.shape[1]
    )
