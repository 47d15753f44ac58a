"""Lets attention be watched under transformers' own kernels: the kernel computes, `watch` looks on.

What `meddle` changes is changed before the kernel gets it, so it computes that as it computes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, wraps
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from workbench.errors import Refusal
from workbench.models.meddle import computed, masked, meddled, taker, valued
from workbench.models.watch import Computed, Seen, show, watched

FAST = ("sdpa", "flash_attention_2", "flash_attention_3")
WATCHED = (*FAST, "eager")
VARLEN = ("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k")
"""What flash attention is told of pieces that lie one after the other and do not see one another."""


@cache
def watch_kernels() -> None:
    """Register, under the kernels' own names, functions that call them and show their inputs.

    Masks, checks and fallbacks of transformers go by those names, so a model runs exactly as without. "eager"
    is no kernel of its own: each model brings a function that computes all weights, which is handed out by
    `get_interface`; there it gets the same cover, and what it computed is shown.
    """
    from transformers import AttentionInterface
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    for name in FAST:
        if name in ALL_ATTENTION_FUNCTIONS.valid_keys():
            seen = _flash if name.startswith("flash") else _sdpa
            AttentionInterface.register(name, _shown(ALL_ATTENTION_FUNCTIONS[name], seen))
    handed: Callable[..., Any] = ALL_ATTENTION_FUNCTIONS.get_interface

    def get_interface(attn_implementation: str, default: Callable[..., Any]) -> Callable[..., Any]:
        found: Callable[..., Any] = handed(attn_implementation, default)
        return _computing(found) if found is default else found

    ALL_ATTENTION_FUNCTIONS.get_interface = get_interface


def _shown(kernel: Callable[..., Any], seen: Callable[..., Iterator[Seen]]) -> Callable[..., Any]:
    @wraps(kernel)
    def shown(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        **more: Any,
    ) -> Any:
        changed = meddled()
        if changed or watched():
            causal = more.get("is_causal")
            if causal is None:
                causal = getattr(module, "is_causal", True)
            causal = bool(causal) and query.shape[2] > 1
            mask, taken = attention_mask, None
            if changed:
                mask, taken = masked(module, query, key, attention_mask, causal)[0], taker(module)
                if seen is _flash and (mask is not attention_mask or taken is not None):
                    raise Refusal(
                        "Flash attention computes no weights and takes no mask, so its attention cannot be "
                        "changed. Open the model with another kernel: --attention sdpa."
                    )
            if mask is not attention_mask:
                attention_mask, more["is_causal"], causal = mask, False, False
            for piece in seen(query, key, value, attention_mask, causal, more):
                show(module, piece)
                if taken is not None:
                    return computed(piece, taken).transpose(1, 2).contiguous(), None
        return kernel(module, query, key, value, attention_mask, **more)

    return shown


def _computing(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def shown(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *args: Any, **more: Any) -> Any:
        changed = meddled()
        if changed:
            named = "attention_mask" in more or not args
            mask = more.get("attention_mask") if named else args[0]
            cut, _ = masked(module, query, key, mask, False)
            if cut is not mask and cut is not None:
                # These functions add their mask to the scores.
                if cut.dtype == torch.bool:
                    low = torch.finfo(query.dtype).min
                    cut = torch.zeros_like(cut, dtype=query.dtype).masked_fill(~cut, low)
                args, more = (args, more | {"attention_mask": cut}) if named else ((cut, *args[1:]), more)
        out = function(module, query, key, value, *args, **more)
        weights = out[1]
        if isinstance(weights, Tensor) and weights.ndim == 4:
            if watched():
                show(module, Computed(weights, value))
            if changed and (taken := taker(module)) is not None:
                return valued(taken(weights), value).transpose(1, 2).contiguous(), weights
        return out

    return shown


def _sdpa(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, more: dict[str, Any]
) -> Iterator[Seen]:
    """What scaled_dot_product_attention computes: windows are in the mask, and a mask says what is causal."""
    bias = more.get("position_bias")
    yield Seen(query, key, mask, causal and mask is None, _scale(query, more), bias=bias, value=value)


def _flash(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, more: dict[str, Any]
) -> Iterator[Seen]:
    """What flash attention computes: a mask (B, K) tells of padding only, the rest is told by name."""
    scale, window = _scale(query, more), more.get("sliding_window")
    cap, sinks = more.get("softcap"), more.get("s_aux")
    if mask is None and all(more.get(name) is not None for name in VARLEN):
        for first, end in pairwise(more["cu_seq_lens_q"].tolist()):
            q, k, v = (x[:, :, first:end] for x in (query, key, value))
            yield Seen(q, k, None, causal, scale, window, cap, sinks=sinks, value=v)
        return
    if mask is not None and mask.ndim == 2:
        mask = mask[:, None, None].bool()
    yield Seen(query, key, mask, causal, scale, window, cap, sinks=sinks, value=value)


def _scale(query: Tensor, more: dict[str, Any]) -> float:
    found = more.get("scaling")
    return query.shape[-1] ** -0.5 if found is None else float(found)
