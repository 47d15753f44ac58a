"""Position tables and the embedding of flow time, written from their formulas."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def sincos_table(side: int, width: int) -> Tensor:
    """Fixed 2-D sine-cosine table, float32 (side², width).

    Row r·side + c holds [enc(c), enc(r)], each half enc(p) = [sin(p·ω), cos(p·ω)] with
    ω_k = 10000^(−k / (width/4)), k = 0 … width/4 − 1 (Vaswani et al. 2017, extended to two axes as in MAE).
    """
    quarter = width // 4
    omega = 10000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
    angles = torch.arange(side, dtype=torch.float64)[:, None] * omega
    one = torch.cat([angles.sin(), angles.cos()], dim=1)
    columns = one[None, :, :].expand(side, side, -1)
    rows = one[:, None, :].expand(side, side, -1)
    return torch.cat([columns, rows], dim=-1).reshape(side * side, width).float()


def time_features(t: Tensor, size: int = 256) -> Tensor:
    """Sinusoid of flow time: t (N,) in [0, 1] → (N, size) as [cos, sin], ω_k = 10000^(−k / (size/2))."""
    half = size // 2
    omega = torch.exp(-math.log(10000.0) * torch.arange(half, dtype=torch.float32, device=t.device) / half)
    angles = t.float()[:, None] * omega
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class PositionTable(nn.Module):
    """A frozen position table under the published key `pos_embed`."""

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        self.side = side
        self.width = width
        self.pos_embed = nn.Parameter(torch.empty(side * side, width), requires_grad=False)

    def reset(self) -> None:
        """Fill with the deterministic values (some published checkpoints leave them out)."""
        with torch.no_grad():
            self.pos_embed.copy_(sincos_table(self.side, self.width))

    def forward(self, ids: Tensor) -> Tensor:
        """Rows of the table, (N, width), for position ids (N,)."""
        return self.pos_embed[ids]


class TimeEmbedder(nn.Module):
    """Flow time → a vector added to every latent token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        """Flow times (B,) → (B, width)."""
        return self.mlp(time_features(t).to(next(self.parameters()).dtype))


def grid_ids(rows: int, cols: int, side: int, device: torch.device | str = "cpu") -> Tensor:
    """Position id row·side + col of each patch, row-major, (rows·cols,)."""
    r = torch.arange(rows, device=device)[:, None]
    c = torch.arange(cols, device=device)[None, :]
    return (r * side + c).reshape(-1)
