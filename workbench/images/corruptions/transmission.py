"""What goes wrong on the way: compression, blocks and lines in the wrong place, flattened detail."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from workbench.images.corruptions import mean_shift as shifting
from workbench.images.corruptions.filters import Bytes


def jpeg_compression(image: Bytes, intensity: float, _: np.random.Generator, __: float) -> Bytes:
    """JPEG of quality 100 - 95 i, at least 5."""
    quality = min(100, max(5, int(100 - 95 * intensity)))
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return np.array(Image.open(buffer))


def scan_lines(image: Bytes, intensity: float, _: np.random.Generator, scale: float) -> Bytes:
    """Rows of at least 5 pixels, nearly black, ever closer."""
    period = max(3, int(20 / (intensity + 0.1))) * scale
    width = max(5, int(7 * intensity)) * scale
    edges = np.arange(image.shape[0] + 1)
    # Dark length up to each row edge; its difference is the share of the row that lies under a line.
    dark = np.floor(edges / period) * width + np.minimum(edges % period, width)
    factor = 1 - 0.99 * np.clip(np.diff(dark), 0, 1)
    return (image * factor[:, None, None] + 1e-9).astype(np.uint8)


def block_exchange(image: Bytes, intensity: float, generator: np.random.Generator, scale: float) -> Bytes:
    """35 i pairs of blocks change places. A block is never larger than half of the long side: ours."""
    height, width = image.shape[:2]
    side = max(1, min(round(min(32, int(5 + 30 * intensity)) * scale), max(height, width) // 2))
    rows, columns = max(1, height // side), max(1, width // side)
    result = image.copy()
    for _ in range(int(35 * intensity)):
        places = [(generator.integers(rows), generator.integers(columns)) for _ in range(2)]
        one, other = (np.s_[y * side : (y + 1) * side, x * side : (x + 1) * side] for y, x in places)
        kept = result[one].copy()
        result[one] = result[other]
        result[other] = kept
    return result


def mean_shift(image: Bytes, intensity: float, _: np.random.Generator, scale: float) -> Bytes:
    """Mean-shift filtering over 40 i pixels and as many levels."""
    radius = int(40 * intensity)
    return shifting.filtered(image, radius * scale, radius)
