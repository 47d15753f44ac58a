"""How near a drawing comes to the clean image: what the study measures of each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from workbench.images.fidelity import psnr


def ssim(image: np.ndarray, reference: np.ndarray) -> float:
    """Structural similarity of uint8 images (H, W, 3), up to 1, higher is better.

    Wang et al. (2004): Gaussian windows of standard deviation 1.5, K1 0.01, K2 0.03, values 0..255, the mean
    over pixels and channels. NaN where a side has fewer than 11 pixels, a window's.
    """
    from skimage.metrics import structural_similarity

    if min(image.shape[:2]) < WINDOW:
        return float("nan")
    return float(
        structural_similarity(
            reference,
            image,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=2,
        )
    )


WINDOW = 11
UNITS = {"PSNR": "dB", "SSIM": ""}
MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "PSNR": lambda image, reference: float(psnr(image, reference)),
    "SSIM": ssim,
}
"""Of an image and the clean one; higher is better for each."""
