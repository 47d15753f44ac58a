"""How near a picture is to another one."""

from __future__ import annotations

import numpy as np


def psnr(images: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in dB of uint8 images (…, H, W, 3), float (…); higher is better.

    Both have the same shape; where they are equal it is inf.
    """
    difference = images.astype(np.float64) - references.astype(np.float64)
    error = np.square(difference).mean((-3, -2, -1))
    with np.errstate(divide="ignore"):
        return np.asarray(10.0 * np.log10(255.0**2 / error))
