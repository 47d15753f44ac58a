"""How near a drawing comes to the clean image: what the study measures of each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from workbench.images.fidelity import psnr


def ssim(image: np.ndarray, reference: np.ndarray) -> float:
    """`probes.perceptual`'s structural similarity of uint8 images (H, W, 3); NaN below a window's side."""
    import torch

    from probes.perceptual import structure

    if min(image.shape[:2]) < structure.SIDE:
        return float("nan")
    pair = [torch.from_numpy(each.copy()).permute(2, 0, 1)[None].double() for each in (image, reference)]
    return float(structure.ssim(*pair))


UNITS = {"PSNR": "dB", "SSIM": ""}
MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "PSNR": lambda image, reference: float(psnr(image, reference)),
    "SSIM": ssim,
}
"""Of an image and the clean one; higher is better for each."""
