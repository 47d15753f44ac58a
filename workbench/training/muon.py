"""Muon in float32: momentum whose matrices are orthogonalised, AdamW for everything else.

torch's own Muon iterates in bfloat16, which CPUs without bf16 units run tens of times slower. Newton–Schulz
coefficients and the update scale are those of Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon/).
Matrices of one shape are stacked, so that a small model costs a few batched products a step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


def orthogonalise(stack: Tensor, steps: int = 5) -> Tensor:
    """Nearest (semi-)orthogonal matrices of a stack (K, m, n), nearly: singular values about 0.7 … 1.2."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = stack.shape[1] > stack.shape[2]
    x = stack.transpose(1, 2) if tall else stack
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.transpose(1, 2) if tall else x


class Muon(torch.optim.Optimizer):
    """Two kinds of parameter groups: `muon=True` (matrices) and `muon=False` (AdamW)."""

    def __init__(self, groups: Iterable[dict[str, Any]]) -> None:
        super().__init__(
            groups,
            {
                "lr": 1e-3,
                "momentum": 0.95,
                "betas": (0.9, 0.99),
                "weight_decay": 0.0,
                "muon": False,
                "age": 0,
            },
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; closures are not supported."""
        for group in self.param_groups:
            group["age"] += 1
            params = [p for p in group["params"] if p.grad is not None]
            (self._muon if group["muon"] else self._adam)(group, params)

    def _muon(self, group: dict[str, Any], params: list[Tensor]) -> None:
        stacks: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for p in params:
            stacks[p.flatten(1).shape].append(p)
        for (rows, cols), members in stacks.items():
            updates = []
            for p in members:
                assert p.grad is not None
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                updates.append(p.grad.lerp(buffer, group["momentum"]).flatten(1))
            scale = group["lr"] * max(1.0, rows / cols) ** 0.5
            for p, update in zip(members, orthogonalise(torch.stack(updates)), strict=True):
                p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update.view_as(p), alpha=-scale)

    def _adam(self, group: dict[str, Any], params: list[Tensor]) -> None:
        first, second = group["betas"]
        for p in params:
            assert p.grad is not None
            state = self.state[p]
            mean = state.setdefault("mean", torch.zeros_like(p))
            square = state.setdefault("square", torch.zeros_like(p))
            age = state["age"] = state.get("age", 0) + 1
            mean.lerp_(p.grad, 1 - first)
            square.lerp_(p.grad.square(), 1 - second)
            size = group["lr"] / (1 - first**age)
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.addcdiv_(mean, (square / (1 - second**age)).sqrt_().add_(1e-8), value=-size)


def groups(named: Iterable[tuple[str, Tensor]], matrix_lr: float, other_lr: float) -> list[dict[str, Any]]:
    """The parameter groups of Muon and AdamW.

    Matrices inside the layers and inner convolutions (as matrices, output channels by the rest) go to Muon;
    embeddings, heads, norms and biases to AdamW.
    """
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    for name, p in named:
        if p.requires_grad:
            inner = (p.ndim == 2 and ".layers." in name) or (p.ndim == 4 and "conv_" not in name)
            (matrices if inner else others).append(p)
    made = [{"params": matrices, "lr": matrix_lr, "muon": True, "weight_decay": 0.01}] if matrices else []
    if others:
        made.append({"params": others, "lr": other_lr, "muon": False})
    return made
