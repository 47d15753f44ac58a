"""Learned perceptual image patch similarity."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from probes.perceptual.published import TRUNKS
from probes.perceptual.trunks import outputs, trunk

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""What the metric was trained with, for pixels in -1..1."""
LEAST = 32
"""Shortest side in pixels at which every layer of every trunk has an output."""


class Lpips:
    """Distance in the features of a trunk, weighted by heads that were fitted to human judgements.

    Zhang, Isola, Efros, Shechtman and Wang, "The Unreasonable Effectiveness of Deep Features as a Perceptual
    Metric", CVPR 2018, equation 1, version 0.1 of the authors' package. Lower is better: 0 for equal
    pictures.

    Pictures are float (N, 3, H, W) in 0..255, each side at least LEAST.
    """

    def __init__(self, name: str, weights: Mapping[str, Tensor], heads: Mapping[str, Tensor]) -> None:
        """name: of TRUNKS. weights: torchvision's state dict; heads: that of the package.

        Raises:
            ValueError: either is not of this trunk.
        """
        self.about = TRUNKS[name]
        self.layers = trunk(name, weights)
        wanted = [f"lin{k}.model.1.weight" for k in range(len(self.about.channels))]
        shapes = [(1, width, 1, 1) for width in self.about.channels]
        if [tuple(heads[key].shape) if key in heads else () for key in wanted] != shapes:
            raise ValueError(f"not the heads of LPIPS for {self.about.name}")
        self.heads = [heads[key].detach().to("cpu", torch.float32) for key in wanted]

    @torch.inference_mode()
    def features(self, pictures: Tensor) -> list[Tensor]:
        """What is compared: the output of each layer, every pixel of it at length 1."""
        x = 2 * (pictures.to(torch.float32) / 255) - 1
        x = (x - torch.tensor(SHIFT)[:, None, None]) / torch.tensor(SCALE)[:, None, None]
        found = outputs(self.layers, self.about.taps, x)
        return [each / (each.square().sum(1, keepdim=True).sqrt() + 1e-10) for each in found]

    @torch.inference_mode()
    def maps(self, x: list[Tensor], y: list[Tensor]) -> list[Tensor]:
        """The distance at each place of each layer, (N, 1, h, w)."""
        pairs = zip(x, y, self.heads, strict=True)
        return [functional.conv2d((a - b).square(), head) for a, b, head in pairs]

    @torch.inference_mode()
    def score(self, maps: list[Tensor]) -> Tensor:
        """The mean over places, summed over layers: (N,)."""
        return torch.stack([each.mean((1, 2, 3)) for each in maps]).sum(0)

    @torch.inference_mode()
    def spread(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """The same at every pixel, layers enlarged bilinearly to the picture's size: (N, H, W)."""
        large = [functional.interpolate(each, size, mode="bilinear", align_corners=False) for each in maps]
        return torch.stack(large).sum(0)[:, 0]
