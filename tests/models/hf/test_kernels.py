"""Rows of attention under each kernel: what sdpa, flash attention and eager functions compute."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.models.hf.builders import saved
from workbench.capture.attention import attention_rows
from workbench.models import Opening
from workbench.models.hf import kernels
from workbench.models.hf.adapter import HFModel
from workbench.models.hf.load import load
from workbench.models.protocol import Capability
from workbench.models.watch import Computed, Seen, watching

IMAGE = np.random.default_rng(0).integers(0, 256, (70, 100, 3)).astype(np.uint8)


def flash(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    is_causal: bool | None = None,
    s_aux: torch.Tensor | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Flash attention's output by its definition, one piece, head and query after the other."""
    causal = module.is_causal if is_causal is None else is_causal
    groups, scale = query.shape[1] // key.shape[1], scaling or query.shape[-1] ** -0.5
    out = torch.zeros(*query.shape[:3], value.shape[-1])
    length = query.shape[2]
    ends = [0, length] if cu_seq_lens_q is None else cu_seq_lens_q.tolist()
    for b, h in np.ndindex(*query.shape[:2]):
        for first, end in pairwise(ends):
            for q in range(first, end):
                seen = [
                    k
                    for k in range(first, end)
                    if not (causal and k > q)
                    and not (sliding_window is not None and abs(q - k) > sliding_window - 1)
                    and not (attention_mask is not None and attention_mask[b, k] == 0)
                ]
                scores = key[b, h // groups, seen] @ query[b, h, q] * scale
                if softcap is not None:
                    scores = torch.tanh(scores / softcap) * softcap
                total = scores.exp().sum() + (0 if s_aux is None else s_aux[h].exp())
                out[b, h, q] = (scores.exp() / total) @ value[b, h // groups, seen]
    return out.transpose(1, 2), None


class Causal(torch.nn.Module):
    is_causal = True
    num_key_value_groups = 2


def tensors() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(2, heads, 11, 8, generator=generator) for heads in (4, 2, 2))


def output(seen: list[Seen | Computed], value: torch.Tensor) -> torch.Tensor:
    """What the watched weights make of the values, (B, N, heads, d)."""
    out, first = [], 0
    for each in seen:
        weights = each.rows(torch.arange(each.queries))
        own = value[:, :, first : first + each.queries].repeat_interleave(2, dim=1)
        out.append(weights @ own)
        first += each.queries
    return torch.cat(out, dim=2).transpose(1, 2)


PADDED = torch.ones(2, 11, dtype=torch.long)
PADDED[1, :3] = 0
PIECES = {"cu_seq_lens_q": torch.tensor([0, 4, 11]), "cu_seq_lens_k": torch.tensor([0, 4, 11])}
PIECES |= {"max_length_q": torch.tensor(7), "max_length_k": torch.tensor(7)}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"is_causal": False},
        {"sliding_window": 3},
        {"sliding_window": 3, "is_causal": False},
        {"softcap": 0.7, "scaling": 1.3},
        {"s_aux": torch.tensor([0.5, -1.0, 2.0, 0.0])},
        {**PIECES, "is_causal": False},
        {**PIECES, "sliding_window": 2},
        {"mask": PADDED, "is_causal": False},
    ],
    ids=lambda more: "+".join(more) or "causal",
)
def test_rows_under_flash_attention_are_what_its_output_was_made_of(more: dict[str, Any]) -> None:
    query, key, value = tensors()
    told = dict(more)
    mask, seen = told.pop("mask", None), []
    with watching(lambda module, call: seen.append(call)):
        made, _ = kernels._shown(flash, kernels._flash)(Causal(), query, key, value, mask, **told)
    torch.testing.assert_close(output(seen, value), made, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("masked", ["", "bool", "float"])
def test_rows_under_sdpa_are_what_its_output_was_made_of(biased: bool, masked: str) -> None:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    query, key, value = tensors()
    may = torch.rand(2, 1, 11, 11, generator=torch.Generator().manual_seed(1)) > 0.3
    may |= torch.eye(11, dtype=torch.bool)
    mask = {"": None, "bool": may, "float": torch.zeros(may.shape).masked_fill(~may, -1e9)}[masked]
    more = {"position_bias": torch.randn(1, 4, 11, 11)} if biased else {}
    seen: list[Any] = []
    with watching(lambda module, call: seen.append(call)):
        made, _ = kernels._shown(sdpa_attention_forward, kernels._sdpa)(
            Causal(), query, key, value, mask, **more
        )
    torch.testing.assert_close(output(seen, value), made, atol=1e-5, rtol=1e-5)


def opened(name: str, folder: Path, attention: str = "auto") -> HFModel:
    return load(
        saved(name, folder),
        name=name,
        device=torch.device("cpu"),
        dtype=torch.float32,
        opening=Opening(attention=attention),
    )


@pytest.fixture
def flashing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Flash attention by its definition in place of the package's, which needs a GPU."""
    from transformers import AttentionInterface
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    kernels.watch_kernels()
    before = ALL_ATTENTION_FUNCTIONS["flash_attention_2"]
    AttentionInterface.register("flash_attention_2", kernels._shown(fast_flash, kernels._flash))
    yield
    AttentionInterface.register("flash_attention_2", before)


def fast_flash(module: Any, query: Any, key: Any, value: Any, mask: Any, **more: Any) -> Any:
    """As `flash`, by sdpa with a mask that says the same."""
    length, causal = query.shape[2], more.get("is_causal")
    causal = module.is_causal if causal is None else causal
    apart = torch.arange(length)[:, None] - torch.arange(length)
    may = (apart >= 0) if causal else torch.ones(length, length, dtype=torch.bool)
    if (window := more.get("sliding_window")) is not None:
        may &= apart.abs() < window
    if (ends := more.get("cu_seq_lens_q")) is not None:
        piece = torch.bucketize(torch.arange(length), ends, right=True)
        may &= piece[:, None] == piece
    if mask is not None:
        may = may & mask[:, None, None].bool()
    made = F.scaled_dot_product_attention(query, key, value, may, scale=more["scaling"], enable_gqa=True)
    return made.transpose(1, 2), None


@pytest.mark.parametrize("name", ["qwen2_5_vl", "mistral3", "llava", "qwen3_vl"])
def test_under_flash_attention_rows_are_those_of_sdpa(name: str, tmp_path: Path, flashing: None) -> None:
    """Windows and images that lie one after the other in a tower do not see one another."""
    model = opened(name, tmp_path)
    prompt = model.prepare([IMAGE], "what is this?")
    rows = torch.tensor([0, 5, 11])
    told = {band: attention_rows(model, prompt, rows, band=band) for band in ("vision", "llm")}
    logits = model.forward(prompt)
    for module in model.network.modules():
        if getattr(config := getattr(module, "config", None), "_attn_implementation", None) == "sdpa":
            config._attn_implementation_internal = "flash_attention_2"
    torch.testing.assert_close(model.forward(prompt), logits, atol=1e-4, rtol=1e-4)
    for band, before in told.items():
        after = attention_rows(model, prompt, rows, band=band)
        for a, b in zip(after.weights, before.weights, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("name", ["qwen2_5_vl", "gemma3", "internvl"])
def test_under_eager_rows_are_those_of_sdpa(name: str, tmp_path: Path) -> None:
    model, plain = opened(name, tmp_path), opened(name, tmp_path, "eager")
    assert plain.card.attention == "eager" and Capability.ATTENTION in plain.card.capabilities
    rows = torch.tensor([0, 5, 11])
    for band in ("vision", "llm"):
        both = [
            attention_rows(each, each.prepare([IMAGE], "what is this?"), rows, band=band)
            for each in (model, plain)
        ]
        for a, b in zip(both[0].weights, both[1].weights, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_nobody_who_does_not_watch_is_shown_anything(tmp_path: Path) -> None:
    model = opened("llava", tmp_path, "eager")
    prompt, seen = model.prepare([IMAGE], "what?"), []
    with watching(lambda module, call: seen.append(call)):
        model.forward(prompt)
    count = len(seen)
    model.forward(prompt)
    assert count == len(seen) > 0
