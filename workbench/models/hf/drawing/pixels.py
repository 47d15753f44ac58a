"""From the numbers that a tokeniser works on back to pixels, by the processor's own settings."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor


def returned(processor: Any, values: Tensor) -> np.ndarray:
    """What an image processor's scaling and normalisation made (3, H, W) of, as uint8 (H, W, 3)."""
    settings = processor.image_processor
    pixels = values.detach().float().cpu().numpy().transpose(1, 2, 0)
    if settings.do_normalize:
        pixels = pixels * np.asarray(settings.image_std, np.float32) + np.asarray(
            settings.image_mean, np.float32
        )
    if settings.do_rescale:
        pixels = pixels / settings.rescale_factor
    rounded: np.ndarray = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return rounded
