"""What several measures share: brightness and colour planes, windows, local similarity."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
"""The NTSC transform from red, green and blue; its first row is luma (Rec. 601)."""


def yiq(pictures: Tensor) -> Tensor:
    """Luma and the two colour planes, (N, 3, H, W)."""
    return torch.einsum("kc,nchw->nkhw", torch.tensor(YIQ, dtype=pictures.dtype), pictures)


def luma(pictures: Tensor) -> Tensor:
    """Brightness, (N, 1, H, W) in 0..255."""
    return yiq(pictures)[:, :1]


def gaussian(side: int, sigma: float, like: Tensor) -> Tensor:
    """Weights of a Gaussian window along one axis, summing to 1: (side,)."""
    return _gaussian(side, sigma).to(like)


@lru_cache(maxsize=16)
def _gaussian(side: int, sigma: float) -> Tensor:
    place = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    weights = torch.exp(-(place**2) / (2 * sigma**2))
    return weights / weights.sum()


def blurred(planes: Tensor, window: Tensor) -> Tensor:
    """Each plane under a separable window, only where the window fits: (N, C, H - side + 1, W - side + 1)."""
    count, channels, height, width = planes.shape
    alone = planes.reshape(count * channels, 1, height, width)
    down = functional.conv2d(alone, window[None, None, :, None])
    out = functional.conv2d(down, window[None, None, None, :])
    return out.reshape(count, channels, *out.shape[-2:])


def alike(x: Tensor, y: Tensor, constant: float) -> Tensor:
    """(2 x y + c) / (x² + y² + c): 1 where both are equal, towards 0 where they differ."""
    return (2 * x * y + constant) / (x**2 + y**2 + constant)


def gradient(plane: Tensor, kernel: Tensor) -> Tensor:
    """Magnitude of the gradient, (N, 1, H, W); kernel: (3, 3), of one direction. Beyond the edge is 0."""
    kernels = torch.stack([kernel, kernel.T])[:, None].to(plane)
    return functional.conv2d(plane, kernels, padding=1).square().sum(1, keepdim=True).sqrt()


def halved(planes: Tensor) -> Tensor:
    """The mean of each 2 × 2 pixels; odd sides are first made even with a row or column of 0."""
    odd = max(planes.shape[-2] % 2, planes.shape[-1] % 2)
    return functional.avg_pool2d(functional.pad(planes, (0, odd, 0, odd)), 2)
