"""What goes wrong where the light is caught: focus, motion, dirt, stray light, faint colours."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from workbench.images.corruptions import strokes
from workbench.images.corruptions.filters import (
    EXACT,
    Bytes,
    correlated,
    from_planes,
    gaussian,
    odd,
    planes,
    to_bytes,
)

_FLARE = (235.0, 255.0, 255.0)


def lens_blur(image: Bytes, intensity: float, _: np.random.Generator, scale: float) -> Bytes:
    """A Gaussian of up to 101 pixels over what is left of the image, brighter than it was."""
    if intensity == 0:
        return image.copy()
    size = min(101, int(3 + 300 * intensity)) | 1
    sharp = planes(image)
    blurred = np.floor(gaussian(sharp, odd(size * scale), 20 * intensity * scale) + EXACT)
    return from_planes((1 - 0.7 * intensity) * sharp + 0.9 * intensity * blurred)


def _motion_kernel(size: int, degrees: float) -> NDArray[np.float64]:
    """(size, size): a diagonal of ones turned about (size/2, size/2) sampled bilinearly; not normalised."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    columns = np.arange(size) - size / 2
    rows = columns[:, None]
    x = cosine * columns - sine * rows + size / 2
    y = sine * columns + cosine * rows + size / 2
    # Of the ones at (j, j), only those at the two whole numbers around x can lie within a pixel of it.
    first = np.floor(x)
    kernel = np.zeros((size, size))
    for j, near in ((first, 1 - (x - first)), (first + 1, x - first)):
        kernel += near * np.clip(1 - abs(y - j), 0, None) * ((j >= 0) & (j < size))
    return kernel


def _shrunk(kernel: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """The kernel at ``scale`` < 1 times its size, on an odd grid; a tap is shared by the pixels it covers."""
    length = len(kernel)
    half = max(1, math.ceil(length * scale / 2))
    # Taps sit at offsets from the anchor pixel length // 2, as a correlation places them.
    offsets = (np.arange(length) - length // 2) * scale
    share = np.clip(1 - abs(np.arange(-half, half + 1)[:, None] - offsets), 0, None)
    return share @ kernel @ share.T


def motion_blur(image: Bytes, intensity: float, generator: np.random.Generator, scale: float) -> Bytes:
    """A line of 30 i pixels in any direction."""
    degrees = generator.uniform(0, 360)
    size = max(5, int(30 * intensity))
    if scale < 1:
        kernel = _shrunk(_motion_kernel(size, degrees), scale)
    else:
        kernel = _motion_kernel(max(5, int(size * scale)), degrees)
    kernel = kernel / kernel.sum()
    return to_bytes(correlated(image, kernel))


_LEVELS_FROM_ONE = np.maximum(np.arange(256), 1)
_SATURATION_RECIPROCALS = np.rint((255 << 12) / _LEVELS_FROM_ONE).astype(np.int32)
_HUE_RECIPROCALS = np.rint((30 << 12) / _LEVELS_FROM_ONE).astype(np.int32)


def hsv_saturation(image: Bytes, intensity: float, _: np.random.Generator, __: float) -> Bytes:
    """Saturation times 1 - i, in 8-bit HSV."""
    red, green, blue = image.transpose(2, 0, 1).astype(np.int32)
    value = np.maximum(np.maximum(red, green), blue)
    spread = value - np.minimum(np.minimum(red, green), blue)
    turn = np.where(
        value == red,
        green - blue,
        np.where(value == green, blue - red + 2 * spread, red - green + 4 * spread),
    )
    # 8-bit HSV as OpenCV stores it (saturation 0..255, hue in steps of two degrees, 30 to a sixth of the
    # circle), by its fixed-point reciprocals: a hue rounded the other way would show as two levels.
    saturation = (spread * _SATURATION_RECIPROCALS[value] + 2048) >> 12
    hue = ((turn * _HUE_RECIPROCALS[spread] + 2048) >> 12).astype(np.float32) / 30
    lost = (
        value * np.floor(saturation * np.float32(1 - intensity) + EXACT).astype(np.float32) / np.float32(255)
    )
    result = np.empty(image.shape, np.uint8)
    for channel, turned in enumerate((5, 3, 1)):
        place = (hue + turned) % 6
        share = np.clip(np.minimum(place, 4 - place), 0, 1)
        result[..., channel] = value - lost * share + EXACT
    return result


def lens_flare(image: Bytes, intensity: float, generator: np.random.Generator, scale: float) -> Bytes:
    """3 + 30 i bright discs, each with a ray."""
    height, width = image.shape[:2]
    flare = np.zeros(image.shape, np.float32)
    for _ in range(3 + int(30 * intensity)):
        x, y = strokes.between(generator, 0, width), strokes.between(generator, 0, height)
        strokes.disc(flare, (x, y), strokes.between(generator, 10, 50) * scale, _FLARE, scale)
        angle, length = generator.uniform(0, 2 * math.pi), strokes.between(generator, 30, 150) * scale
        end: tuple[float, float] = (x + length * math.cos(angle), y + length * math.sin(angle))
        if scale >= 1:
            end = math.trunc(end[0]), math.trunc(end[1])
        strokes.line(flare, (x, y), end, 2 * scale, _FLARE, scale)
    if intensity > 0:
        flare = gaussian(np.ascontiguousarray(flare.transpose(2, 0, 1)), 3, 20 * intensity * scale)
        flare = flare.transpose(1, 2, 0)
    lit: Bytes = np.clip(image + np.float32(0.9 * intensity) * flare + EXACT, 0, 255).astype(
        np.uint8, order="C"
    )
    return lit


def dirty_lens(image: Bytes, intensity: float, generator: np.random.Generator, scale: float) -> Bytes:
    """Grey smears and specks, out of focus, over the image."""
    height, width = image.shape[:2]
    dirt = np.zeros((height, width, 1), np.float32)

    def somewhere() -> tuple[float, float]:
        return strokes.between(generator, 0, width), strokes.between(generator, 0, height)

    if intensity > 0.1:
        for _ in range(int(10 * intensity)):
            centre = somewhere()
            axes = strokes.between(generator, 150, 300) * scale, strokes.between(generator, 100, 200) * scale
            strokes.ellipse(dirt, centre, axes, strokes.between(generator, 0, 180), (50.0,))
    for _ in range(int(300 * intensity)):
        centre, radius = somewhere(), strokes.between(generator, 4, 20) * scale
        strokes.disc(dirt, centre, radius, (float(strokes.between(generator, 50, 100)),), scale)
    if intensity > 0.5:
        for _ in range(int(5 * intensity)):
            centre = somewhere()
            strokes.disc(dirt, centre, strokes.between(generator, 20, 50) * scale, (80.0,), scale)
            strokes.disc(dirt, centre, strokes.between(generator, 10, 30) * scale, (120.0,), scale)
    size = odd(240 * scale)
    blurred = np.floor(gaussian(dirt.transpose(2, 0, 1), size, 30 * scale) + EXACT)
    return from_planes((1 - 0.7 * intensity) * planes(image) + np.float32(0.8 * intensity) * blurred)
