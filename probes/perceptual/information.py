"""Visual information fidelity, in the pixel domain."""

from __future__ import annotations

import torch
from torch import Tensor

from probes.perceptual.planes import blurred, gaussian, luma

SCALES = 4
NOISE = 2.0
"""Variance of the noise of the visual system, for brightness in 0..255."""
TINY = 1e-10
LEAST = 41
"""Shortest side in pixels at which every scale has a window."""


def vif(pictures: Tensor, references: Tensor) -> Tensor:
    """What information about the reference the picture holds, as a share: (N,), 1 where they are equal.

    Above 1 where the picture has more contrast than its reference. Sheikh and Bovik, "Image information and
    visual quality", IEEE TIP 15(2), 2006, in the authors' version for pixels (vifp_mscale): brightness under
    Gaussian windows of 17, 9, 5 and 3 pixels, each scale half the size of the one before.

    Raises:
        ValueError: a side is shorter than LEAST pixels.
    """
    if min(pictures.shape[-2:]) < LEAST:
        raise ValueError(f"VIF takes pictures of at least {LEAST} pixels a side")
    x, y = luma(pictures), luma(references)
    kept = torch.zeros(len(x), dtype=x.dtype)
    there = torch.zeros_like(kept)
    for scale in range(SCALES):
        side = 2 ** (SCALES - scale) + 1
        window = gaussian(side, side / 5, x)
        if scale:
            x, y = (blurred(each, window)[..., ::2, ::2] for each in (x, y))
        mean_x, mean_y = blurred(x, window), blurred(y, window)
        variance_x = (blurred(x * x, window) - mean_x**2).clamp(min=0)
        variance_y = (blurred(y * y, window) - mean_y**2).clamp(min=0)
        covariance = blurred(x * y, window) - mean_x * mean_y
        gain = covariance / (variance_y + TINY)
        rest = variance_x - gain * covariance
        # Where nothing of the reference is in the picture, all of the picture is distortion.
        flat_reference, flat_picture = variance_y < TINY, variance_x < TINY
        rest = torch.where(flat_reference | (gain < 0), variance_x, rest)
        rest = torch.where(flat_picture, torch.zeros_like(rest), rest).clamp(min=TINY)
        gain = torch.where(flat_reference | flat_picture | (gain < 0), torch.zeros_like(gain), gain)
        variance_y = torch.where(flat_reference, torch.zeros_like(variance_y), variance_y)
        kept += torch.log10(1 + gain**2 * variance_y / (rest + NOISE)).sum((1, 2, 3))
        there += torch.log10(1 + variance_y / NOISE).sum((1, 2, 3))
    return (kept + TINY) / (there + TINY)
