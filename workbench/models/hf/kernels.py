"""Lets attention be watched under transformers' own kernels: the kernel computes, `watch` looks on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from torch import Tensor, nn

from workbench.models.watch import observe

WATCHED = ("sdpa", "flash_attention_2", "flash_attention_3")


@cache
def watch_kernels() -> None:
    """Register, under the kernels' own names, functions that call them and show their inputs.

    Masks, checks and fallbacks of transformers go by those names, so a model runs exactly as without.
    """
    from transformers import AttentionInterface
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    for name in WATCHED:
        if name in ALL_ATTENTION_FUNCTIONS.valid_keys():
            AttentionInterface.register(name, _shown(ALL_ATTENTION_FUNCTIONS[name]))


def _shown(kernel: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(kernel)
    def shown(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        **more: Any,
    ) -> Any:
        causal = more.get("is_causal")
        if causal is None:
            causal = getattr(module, "is_causal", True)
        mask = attention_mask if attention_mask is not None and attention_mask.ndim == 4 else None
        observe(
            module,
            query,
            key,
            mask,
            bool(causal) and mask is None and query.shape[2] > 1,
            more.get("scaling"),
        )
        return kernel(module, query, key, value, attention_mask, **more)

    return shown
