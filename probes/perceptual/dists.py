"""Deep image structure and texture similarity."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from probes.perceptual.published import TRUNKS
from probes.perceptual.trunks import normalised, outputs, trunk

SHORT = 256
"""Pixels of the shorter side above which a picture is made smaller first, as the authors do."""
LEAST = 32
C1 = C2 = 1e-6


class Dists:
    """Likeness of means (texture) and of correlations (structure) in VGG16's features.

    Ding, Ma, Wang and Simoncelli, "Image Quality Assessment: Unifying Structure and Texture Similarity", IEEE
    TPAMI 44(5), 2022, equations 5 to 8, with L2 pooling in place of the maximum. Lower is better: 0 for equal
    pictures.
    """

    def __init__(self, weights: Mapping[str, Tensor], mixture: Mapping[str, Tensor]) -> None:
        """weights: torchvision's state dict of VGG16; mixture: the authors' "alpha" and "beta".

        Raises:
            ValueError: either is something else.
        """
        about = TRUNKS["vgg"]
        self.layers = trunk("vgg", weights)
        for number, layer in enumerate(self.layers):
            if isinstance(layer, nn.MaxPool2d):
                self.layers[number] = _L2Pool()
        self.taps, self.widths = about.taps, (3, *about.channels)
        wanted = (1, sum(self.widths), 1, 1)
        if any(tuple(mixture[key].shape) != wanted if key in mixture else True for key in ("alpha", "beta")):
            raise ValueError("not the alpha and beta of DISTS")
        alpha, beta = (mixture[key].detach().to("cpu", torch.float32) for key in ("alpha", "beta"))
        total = alpha.sum() + beta.sum()
        self.alpha, self.beta = (each.div(total).flatten().split(self.widths) for each in (alpha, beta))

    @torch.inference_mode()
    def features(self, pictures: Tensor) -> list[Tensor]:
        """The picture in 0..1 and the output of each block."""
        x = pictures.to(torch.float32)
        return [x / 255, *outputs(self.layers, self.taps, normalised(x))]

    @torch.inference_mode()
    def score(self, x: list[Tensor], y: list[Tensor]) -> Tensor:
        """1 - the weighted likeness, (N,)."""
        likeness = torch.zeros(len(x[0]))
        for a, b, alpha, beta in zip(x, y, self.alpha, self.beta, strict=True):
            mean_a, mean_b = a.mean((2, 3)), b.mean((2, 3))
            texture = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
            variance = a.var((2, 3), unbiased=False) + b.var((2, 3), unbiased=False)
            structure = (2 * ((a * b).mean((2, 3)) - mean_a * mean_b) + C2) / (variance + C2)
            likeness += (alpha * texture + beta * structure).sum(1)
        return 1 - likeness


def shrunk(pictures: Tensor) -> Tensor:
    """Pictures whose shorter side is at most SHORT pixels, made smaller bilinearly with antialiasing."""
    height, width = pictures.shape[-2:]
    if min(height, width) <= SHORT:
        return pictures
    scale = SHORT / min(height, width)
    size = (round(height * scale), round(width * scale))
    return functional.interpolate(pictures, size, mode="bilinear", antialias=True, align_corners=False)


class _L2Pool(nn.Module):
    """The root of a Hann-weighted mean of squares over 3 × 3 places, at every second one."""

    def forward(self, x: Tensor) -> Tensor:
        window = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype)
        kernel = (window[:, None] * window).expand(x.shape[1], 1, 3, 3)
        return (functional.conv2d(x.square(), kernel, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()
