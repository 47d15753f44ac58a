"""Pictures inside a page."""

from __future__ import annotations

import base64
import io

import numpy as np


def data_uri(pixels: np.ndarray, *, level: int = 6) -> str:
    """uint8 (H, W, 3) or (H, W) as a PNG inside a data address, lossless; ``level``: zlib's, 0 … 9."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=level)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
