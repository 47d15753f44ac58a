"""What stands in an image where something is taken away."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.panels.attribution.config import Baseline

Image = NDArray[np.uint8]
BLUR = 0.1
"""Standard deviation of the blur, as a share of the image's shorter side: outlines are gone."""


def baseline(image: Image, kind: Baseline) -> Image:
    """An image of the same size, uint8 (H, W, 3), in which there is nothing to be seen, or little."""
    if kind == "blur":
        from scipy.ndimage import gaussian_filter

        sigma = BLUR * min(image.shape[:2])
        blurred = gaussian_filter(image.astype(np.float32), (sigma, sigma, 0), mode="nearest")
        return np.rint(blurred).astype(np.uint8)
    colour = {"mean": image.mean(axis=(0, 1)), "grey": np.full(3, 127.5), "black": np.zeros(3)}[kind]
    return np.broadcast_to(np.rint(colour), image.shape).astype(np.uint8)
