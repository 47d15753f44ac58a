"""The feature similarity index: phase congruency and gradients."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from probes.perceptual.planes import alike, gradient, yiq

SCALES, DIRECTIONS = 4, 4
SHORTEST, FACTOR = 6, 2
"""Pixels of the shortest wavelength, and from one scale to the next."""
BANDWIDTH = 0.55
ANGLE = math.pi / DIRECTIONS / 1.2
"""Standard deviation of a filter over directions, in radians."""
CUTOFF, ORDER = 0.45, 15
"""Of the low pass that rounds the filters off, in cycles a pixel."""
DEVIATIONS, NOISE_SCALE = 2.0, 1.7
T1, T2, T3, T4, LAMBDA = 0.85, 160.0, 200.0, 200.0, 0.03
SCHARR = torch.tensor([[-3.0, 0.0, 3.0], [-10.0, 0.0, 10.0], [-3.0, 0.0, 3.0]]) / 16
LONG = 256
"""Pixels of the shorter side at about which it is measured; larger pictures are first averaged down."""


def fsim(pictures: Tensor, references: Tensor) -> Tensor:
    """FSIM with colour (FSIMc): (N,), 1 where equal; higher is better.

    Zhang, Zhang, Mou and Zhang, "FSIM: A Feature Similarity Index for Image Quality Assessment", IEEE TIP
    20(8), 2011, equations 4 to 9, with Kovesi's phase congruency and the constants of the authors' code. NaN
    where neither picture has any structure.
    """
    step = max(1, round(min(pictures.shape[-2:]) / LONG))
    x, y = (yiq(functional.avg_pool2d(each, step)) for each in (pictures, references))
    features_x, features_y = (congruency(each[:, 0])[:, None] for each in (x, y))
    edges_x, edges_y = (gradient(each[:, :1], SCHARR) for each in (x, y))
    colour = alike(x[:, 1:2], y[:, 1:2], T3) * alike(x[:, 2:], y[:, 2:], T4)
    weight = torch.maximum(features_x, features_y)
    local = alike(features_x, features_y, T1) * alike(edges_x, edges_y, T2) * colour.abs() ** LAMBDA
    return (local * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))


def congruency(planes: Tensor) -> Tensor:
    """Phase congruency, (N, H, W) in 0..1: how far the waves at a pixel are in step, over all directions.

    Kovesi, "Image features from phase congruency", Videre 1(3), 1999, as FSIM's authors compute it.
    """
    height, width = planes.shape[-2:]
    bank = _filters(height, width).to(planes)
    spectrum = torch.fft.fft2(planes)
    energy_all, amplitude_all = torch.zeros_like(planes), torch.zeros_like(planes)
    for direction in bank:
        waves = torch.fft.ifft2(spectrum[:, None] * direction)
        total = waves.sum(1)
        mean = total / (total.abs() + torch.finfo(planes.dtype).eps)
        along = waves * mean.conj()[:, None]
        energy = (along.real - along.imag.abs()).sum(1)
        energy_all += (energy - _noise(waves[:, 0], direction)).clamp(min=0)
        amplitude_all += waves.abs().sum(1)
    # No wave anywhere is no feature, not a feature at every pixel.
    return torch.where(amplitude_all > 1e-6, energy_all / amplitude_all.clamp(min=1e-6), 0.0)


def _noise(finest: Tensor, direction: Tensor) -> Tensor:
    """The energy that noise would have at a pixel, (N, 1, 1), told from the finest scale (N, H, W)."""
    height, width = finest.shape[-2:]
    # The median as it is defined there: of an even count the lower of the two in the middle.
    power = finest.abs().square().flatten(1).median(1).values / math.log(2) / direction[0].square().sum()
    kernels = torch.fft.ifft2(direction).real * math.sqrt(height * width)
    together = kernels.sum(0).square().sum()  # squares and, twice, all products of two scales
    spread = torch.sqrt(power * together)
    threshold = spread * (math.sqrt(math.pi / 2) + DEVIATIONS * math.sqrt(2 - math.pi / 2))
    return (threshold / NOISE_SCALE)[:, None, None]


@lru_cache(maxsize=4)
def _filters(height: int, width: int) -> Tensor:
    """Log-Gabor filters in the frequency plane, float64 (directions, scales, H, W)."""
    down, across = torch.meshgrid(_frequencies(height), _frequencies(width), indexing="ij")
    radius = torch.sqrt(down**2 + across**2)
    angle = torch.atan2(-across, down)
    low_pass = 1 / (1 + (radius / CUTOFF) ** (2 * ORDER))
    still = radius == 0
    radius = torch.where(still, 1.0, radius)
    found = []
    for number in range(DIRECTIONS):
        towards = number * math.pi / DIRECTIONS
        turned = torch.atan2(torch.sin(angle - towards), torch.cos(angle - towards)).abs()
        spread = torch.exp(-(turned**2) / (2 * ANGLE**2))
        for scale in range(SCALES):
            wavelength = SHORTEST * FACTOR**scale
            band = torch.exp(-(torch.log(radius * wavelength) ** 2) / (2 * math.log(BANDWIDTH) ** 2))
            found.append(torch.where(still, 0.0, band * low_pass) * spread)
    return torch.stack(found).reshape(DIRECTIONS, SCALES, height, width)


def _frequencies(count: int) -> Tensor:
    """Cycles a pixel along an axis in the order of a Fourier transform; an odd axis reaches both ends."""
    places = torch.arange(count, dtype=torch.float64) - count // 2
    return torch.fft.ifftshift(places / (count - count % 2))
