"""The Haar wavelet-based perceptual similarity index."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from probes.perceptual.planes import alike, halved, yiq

SCALES = 3
CONSTANT, ALPHA = 30.0, 4.2
LEAST = 16
"""Shortest side in pixels at which the coarsest wavelet fits."""


def haarpsi(pictures: Tensor, references: Tensor) -> Tensor:
    """Similarity of Haar wavelet coefficients, weighted by the coarsest: (N,) in 0..1, higher is better.

    Reisenhofer, Bosse, Kutyniok and Wiegand, "A Haar wavelet-based perceptual similarity index for image
    quality assessment", Signal Processing: Image Communication 61, 2018, equations 10 to 12 with C = 30 and
    alpha = 4.2, in colour and after halving the size as in the authors' code.

    Raises:
        ValueError: a side is shorter than LEAST pixels.
    """
    if min(pictures.shape[-2:]) < LEAST:
        raise ValueError(f"HaarPSI takes pictures of at least {LEAST} pixels a side")
    x, y = (halved(yiq(each)) for each in (pictures, references))
    fine_x, fine_y = ([_haar(each[:, :1], scale).abs() for scale in range(1, SCALES + 1)] for each in (x, y))
    local = torch.stack([alike(a, b, CONSTANT) for a, b in zip(fine_x[:2], fine_y[:2], strict=True)]).mean(0)
    weights = torch.maximum(fine_x[2], fine_y[2])
    colour_x, colour_y = (
        functional.avg_pool2d(functional.pad(each[:, 1:], (0, 1, 0, 1)), 2, 1).abs() for each in (x, y)
    )
    local = torch.cat([local, alike(colour_x, colour_y, CONSTANT).mean(1, keepdim=True)], 1)
    weights = torch.cat([weights, weights.mean(1, keepdim=True)], 1)
    share = ((ALPHA * local).sigmoid() * weights).sum((1, 2, 3)) / weights.sum((1, 2, 3))
    return (torch.logit(share) / ALPHA) ** 2


def _haar(plane: Tensor, scale: int) -> Tensor:
    """Coefficients of the horizontal and the vertical wavelet of 2^scale pixels, (N, 2, H, W)."""
    side = 2**scale
    kernel = torch.full((side, side), 1 / side, dtype=plane.dtype)
    kernel[side // 2 :] *= -1
    before, after = side // 2 - 1, side // 2
    padded = functional.pad(plane, (before, after, before, after))
    return functional.conv2d(padded, torch.stack([kernel, kernel.T])[:, None])
