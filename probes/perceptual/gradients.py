"""Gradient magnitude similarity deviation."""

from __future__ import annotations

import torch
from torch import Tensor

from probes.perceptual.planes import alike, gradient, halved, luma

PREWITT = torch.tensor([[-1.0, 0.0, 1.0]] * 3, dtype=torch.float64) / 3
CONSTANT = 170.0
"""For brightness in 0..255."""


def gmsd(pictures: Tensor, references: Tensor) -> Tensor:
    """Standard deviation of the similarity of gradients, (N,) from 0 for equal pictures; lower is better.

    Xue, Zhang, Mou and Bovik, "Gradient Magnitude Similarity Deviation", IEEE TIP 23(2), 2014, equations 4
    to 6: Prewitt gradients of brightness at half the size.
    """
    x, y = (gradient(halved(luma(each)), PREWITT) for each in (pictures, references))
    return alike(x, y, CONSTANT).flatten(1).std(1, unbiased=False)
