"""What people do to pictures: too much sharpening, scribbles, a watermark taken out badly."""

from __future__ import annotations

from functools import partial

import numpy as np

from workbench.images.corruptions import inpaint, strokes
from workbench.images.corruptions.filters import Bytes, mirrored, to_bytes

_RED = (255.0, 0.0, 0.0)
_WORDS = ("X", "FAKE", "COPY", "VOID", "COPYRIGHT")


def sharpness_change(image: Bytes, intensity: float, _: np.random.Generator, __: float) -> Bytes:
    """Three tenths of an image sharpened by 80 i times a Laplacian stencil."""
    height, width = image.shape[:2]
    padded = image[mirrored(height, 1, 1)][:, mirrored(width, 1, 1)].astype(np.float32, order="C")
    centre = padded[1:-1, 1:-1]
    crossed = 5 * centre - padded[:-2, 1:-1] - padded[2:, 1:-1] - padded[1:-1, :-2] - padded[1:-1, 2:]
    sharpened = np.clip(np.rint(np.float32(80 * intensity) * crossed), 0, 255)
    return to_bytes(0.7 * centre + 0.3 * sharpened)


def graffiti(image: Bytes, intensity: float, generator: np.random.Generator, scale: float) -> Bytes:
    """10 i lines of any colour; above 0.55 a red word, where the image is high enough for one."""
    height, width = image.shape[:2]
    drawn = image.astype(np.float32)
    between = partial(strokes.between, generator)
    for _ in range(int(10 * intensity)):
        colour = generator.integers(256, size=3).astype(np.float32)
        start = between(0, width - 1), between(0, height - 1)
        end = between(0, width - 1), between(0, height - 1)
        thickness = between(1, max(1, int(5 * intensity)))
        strokes.line(drawn, start, end, thickness * scale, colour, scale)
    if intensity > 0.55:
        number = str(between(1, 100))
        text = (*_WORDS, number)[between(0, len(_WORDS))]
        size, margin = 5 * intensity, 10 * scale
        thickness = int(size)
        across = strokes.width_of(text, size, thickness) * scale
        high = round((strokes.ASCENT + strokes.DESCENT) * size + (thickness + 1) / 2) * scale
        if height - margin > high + margin:
            x = between(0, max(1, int(width - across - margin)))
            y = between(int(high + margin), int(height - margin))
            strokes.words(drawn, text, (x, y), size * scale, thickness * scale, _RED, scale)
    return to_bytes(drawn)


def watermark_damage(image: Bytes, intensity: float, generator: np.random.Generator, scale: float) -> Bytes:
    """1 + 15 i rectangles painted over from their surroundings; above 0.5 their outline shows."""
    height, width = image.shape[:2]
    hidden = np.zeros((height, width), np.bool_)
    for _ in range(int(1 + 15 * intensity)):
        x, y = (strokes.between(generator, 0, max(0, int(side - 50 * scale))) for side in (width, height))
        across, down = strokes.between(generator, 50, 200) * scale, strokes.between(generator, 20, 80) * scale
        strokes.rectangle(hidden, x, y, x + across, y + down)
    repaired = inpaint.filled(image, hidden, max(1, round(3 * scale)))
    result = to_bytes((1 - intensity) * image.astype(np.float32) + np.float32(intensity) * repaired)
    if intensity > 0.5:
        outline = np.zeros_like(hidden)
        outline[:-1] |= hidden[:-1] != hidden[1:]
        outline[:, :-1] |= hidden[:, :-1] != hidden[:, 1:]
        result[outline] = result[outline] * (1 - 0.2 * min(1.0, scale))
    return result
