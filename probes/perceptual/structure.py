"""Structural similarity, at one scale with its map and at five."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from probes.perceptual.planes import blurred, gaussian

SIDE, SIGMA = 11, 1.5
"""Pixels of the Gaussian window, and its standard deviation."""
K1, K2, PEAK = 0.01, 0.03, 255.0
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, the finest first."""
LEAST = SIDE * 2 ** (len(SCALES) - 1)
"""Shortest side in pixels at which the window still fits the coarsest scale."""


def ssim_map(pictures: Tensor, references: Tensor) -> Tensor:
    """SSIM of every window, the mean of red, green and blue: (N, H, W) in -1..1, higher is more alike.

    Windows at the edge reach over it, onto the picture mirrored there; `ssim` leaves those out.
    """
    edge = SIDE // 2
    padded = [functional.pad(each, (edge,) * 4, mode="reflect") for each in (pictures, references)]
    return _similarity(*padded)[0].mean(1)


def ssim(pictures: Tensor, references: Tensor) -> Tensor:
    """Mean SSIM over all windows inside the picture and over red, green and blue: (N,) in -1..1.

    Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment", IEEE TIP 13(4), 2004, equation 13, with
    their window of 11 pixels, sigma 1.5, K1 = 0.01 and K2 = 0.03. They define it on grey pictures and shrink
    large ones first; here it is taken in each colour channel and at the size given.
    """
    return _similarity(pictures, references)[0].mean((1, 2, 3))


def ms_ssim(pictures: Tensor, references: Tensor) -> Tensor:
    """Multi-scale SSIM, (N,) in 0..1: contrast and structure at five scales, luminance at the coarsest.

    Wang, Simoncelli and Bovik, "Multiscale structural similarity for image quality assessment", Asilomar
    2003, equation 7. A negative factor counts as 0, as in public code, where its power would be no real
    number.

    Raises:
        ValueError: a side is shorter than LEAST pixels.
    """
    if min(pictures.shape[-2:]) < LEAST:
        raise ValueError(f"MS-SSIM takes pictures of at least {LEAST} pixels a side")
    product = torch.ones(pictures.shape[:2], dtype=pictures.dtype)
    for scale, exponent in enumerate(SCALES):
        if scale:
            pictures, references = (functional.avg_pool2d(each, 2) for each in (pictures, references))
        whole, contrast = _similarity(pictures, references)
        last = scale == len(SCALES) - 1
        product = product * (whole if last else contrast).mean((2, 3)).clamp(min=0) ** exponent
    return product.mean(1)


def _similarity(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM, and its contrast-structure part, of every window that fits: (N, C, H', W') each."""
    window = gaussian(SIDE, SIGMA, x)
    c1, c2 = (K1 * PEAK) ** 2, (K2 * PEAK) ** 2
    mean_x, mean_y = blurred(x, window), blurred(y, window)
    variance_x = blurred(x * x, window) - mean_x**2
    variance_y = blurred(y * y, window) - mean_y**2
    covariance = blurred(x * y, window) - mean_x * mean_y
    contrast = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1) * contrast, contrast
