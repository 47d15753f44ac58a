"""Attention that leaves keys out computes what masked attention over all keys does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.training import sparse as module
from workbench.training.sparse import sparse


def blocks(generator: torch.Generator) -> tuple[Tensor, list[int]]:
    """A random mask of blocks that see themselves and some others, and where they start."""
    sizes = [7, 150, 3, 40]
    starts = [0, 7, 157, 160]
    mask = torch.eye(200, dtype=torch.bool).repeat(2, 1, 1)
    for i, (a, size) in enumerate(zip(starts, sizes, strict=True)):
        for b, width in zip(starts[: i + 1], sizes, strict=False):
            if torch.rand((), generator=generator) < 0.6:
                mask[:, a : a + size, b : b + width] |= torch.rand(2, size, width, generator=generator) < 0.7
    return mask[:, None], starts


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("run", [16, 96])
def test_it_equals_masked_attention_and_so_do_its_gradients(
    seed: int, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RUN", run)
    generator = torch.Generator().manual_seed(seed)
    mask, starts = blocks(generator)
    found: list[list[Tensor]] = []
    for attend in (
        sparse(mask, starts),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True),
    ):
        generator.manual_seed(seed)
        q = torch.randn(2, 4, 200, 8, generator=generator, requires_grad=True)
        k, v = (torch.randn(2, 2, 200, 8, generator=generator, requires_grad=True) for _ in range(2))
        out = attend(q, k, v)
        (out * torch.randn(out.shape, generator=generator)).sum().backward()
        found.append([out, *(x.grad for x in (q, k, v) if x.grad is not None)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
