"""MMD-Bench's corruptions, with the intensity as a number in 0..1.

Source of the definitions: CLEAR (arXiv 2604.04780), Table 7 and appendix B, and the parameters of the
authors' public code (kernel sizes, weights, roundings), re-implemented without OpenCV. The benchmark's three
severities are the intensities in ``LEVELS``.

Pixel sizes. ``pixels="native"`` takes kernel sizes, standard deviations, amplitudes and periods in pixels as
the authors do, whatever the size of the image. ``pixels="relative"`` multiplies them by (long side of the
image) / 512, so that a picture of 96 pixels loses as much of what it shows as the same picture at 512 would.
What then falls below one pixel acts by the share of a pixel that it covers: a motion kernel shorter than a
pixel mixes in the neighbours by its overlap with them, a scan line thinner than a row darkens that row
partly, a Gaussian keeps an odd kernel of at least 3 taps and its small standard deviation. Noise, darkness,
saturation, sharpening (a stencil of one pixel) and JPEG (the format's blocks of 8 pixels) have no pixel size
to scale.

Intensity 0. The formulas give the image back unchanged for lens_blur, gaussian_noise, dark_illumination,
color_diffusion and atmospheric_turbulence. They do not for motion_blur (the shortest line has 5 pixels),
jpeg_compression (quality 100 still rounds), hsv_saturation (a round trip through 8-bit HSV), scan_lines (a
line every 200 rows) and sharpness_change (0.7 of the image and nothing added).
``Corruption.identity_at_zero`` says which.

Arrays are uint8 (H, W, 3) in RGB. Rounding follows the authors' code step by step: filters, noise and layers
are truncated to whole levels, OpenCV's weighted sums go to the nearest (halves to even), all saturate.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft

from workbench.errors import Refusal

Pixels = Literal["relative", "native"]
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

LEVELS: dict[str, float] = {"low": 0.23, "mid": 0.45, "high": 0.9}
REFERENCE_SIDE = 512
_ROWS_AT_ONCE = 256
_TAPS_BEFORE_FOURIER = 64
# Added before rounding down, so that a whole number that floating point left just below itself stays whole.
_EXACT = 1e-3


@dataclass(frozen=True)
class Corruption:
    """One corruption.

    ``function(image, intensity, generator, scale)`` returns a new uint8 image of the same shape; ``scale``
    multiplies pixel sizes (1 = the authors'). ``random`` tells whether the generator is used.
    """

    name: str
    label: str
    category: Literal["capture", "transmission", "environment", "post-processing"]
    random: bool
    function: Callable[[Bytes, float, np.random.Generator, float], Bytes]
    identity_at_zero: bool

    @property
    def within(self) -> str:
        """The label inside a sentence: "darkness", but "JPEG compression"."""
        named = self.label.startswith(("JPEG", "Gaussian"))
        return self.label if named else self.label[0].lower() + self.label[1:]


def corrupt(
    image: NDArray[np.uint8], name: str, intensity: float, *, seed: int = 0, pixels: Pixels = "relative"
) -> NDArray[np.uint8]:
    """Corrupt an image; the same arguments always give the same pixels.

    Args:
        image: uint8 (H, W, 3), RGB.
        name: a key of ``CORRUPTIONS``.
        intensity: 0..1; ``LEVELS`` has MMD-Bench's three.
        seed: 0 or more; with the name it fixes the random draw of those that draw.
        pixels: see the module's text.

    Raises:
        Refusal: unknown name, intensity outside 0..1, negative seed or an array that is not an image. The
            clean image never comes back in place of a corrupted one.
    """
    corruption = CORRUPTIONS.get(name)
    if corruption is None:
        raise Refusal(f"There is no corruption called “{name}”. Choose one of {', '.join(CORRUPTIONS)}.")
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise Refusal(f"A corruption needs a uint8 array of shape (height, width, 3), but got {found}.")
    if min(image.shape) == 0:
        raise Refusal("A corruption needs an image of at least one pixel, but this one is empty.")
    intensity = float(intensity)
    if not 0.0 <= intensity <= 1.0:
        raise Refusal(f"The intensity of a corruption lies between 0 and 1, but {intensity} was given.")
    if seed < 0:
        raise Refusal(f"The seed must be 0 or more, but {seed} was given.")
    if pixels not in ("relative", "native"):
        raise Refusal(f"Pixel sizes are “relative” or “native”, but “{pixels}” was given.")
    scale = max(image.shape[:2]) / REFERENCE_SIDE if pixels == "relative" else 1.0
    generator = np.random.default_rng((int(seed), zlib.crc32(name.encode())))
    return corruption.function(image, intensity, generator, scale)


def _to_bytes(values: NDArray[np.floating]) -> Bytes:
    rounded = np.rint(values)
    np.clip(rounded, 0, 255, out=rounded)
    return rounded.astype(np.uint8, order="C")


def _planes(image: Bytes) -> Floats:
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)


def _from_planes(planes: NDArray[np.floating]) -> Bytes:
    return _to_bytes(planes.transpose(1, 2, 0))


def _odd(size: float) -> int:
    """The odd whole number at or just above ``size``'s floor, at least 3."""
    return max(3, int(size) | 1)


@lru_cache(maxsize=512)
def _mirrored(length: int, before: int, after: int) -> NDArray[np.intp]:
    """Indices that extend an axis by mirroring about its end pixels (OpenCV's BORDER_REFLECT_101)."""
    if length == 1:
        return np.zeros(1 + before + after, np.intp)
    period = 2 * (length - 1)
    where = np.arange(-before, length + after) % period
    return np.where(where < length, where, period - where)


@lru_cache(maxsize=16)
def _gaussian_band(rows: int, size: int, sigma: float) -> Floats:
    """(rows, rows + size - 1): times a padded axis, it filters that axis with a normalised Gaussian."""
    taps = np.exp(-((np.arange(size) - (size - 1) / 2) ** 2) / (2 * sigma**2))
    shifted = np.zeros(size + 2 * (rows - 1), np.float32)
    shifted[rows - 1 : rows - 1 + size] = taps / taps.sum()
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(shifted, rows + size - 1)[::-1])


def _gaussian(planes: Floats, size: int, sigma: float) -> Floats:
    """Separable Gaussian over (3, H, W), as products with banded matrices (quick on small images)."""
    half = size // 2
    height, width = planes.shape[1:]
    padded = planes[:, _mirrored(height, half, half)][:, :, _mirrored(width, half, half)]
    down = np.empty((3, height, padded.shape[2]), np.float32)
    for start in range(0, height, _ROWS_AT_ONCE):
        rows = min(_ROWS_AT_ONCE, height - start)
        band = _gaussian_band(rows, size, sigma)
        down[:, start : start + rows] = band @ padded[:, start : start + rows + size - 1]
    across = np.empty_like(planes)
    for start in range(0, width, _ROWS_AT_ONCE):
        columns = min(_ROWS_AT_ONCE, width - start)
        band = _gaussian_band(columns, size, sigma)
        across[:, :, start : start + columns] = down[:, :, start : start + columns + size - 1] @ band.T
    return across


def _lens_blur(image: Bytes, intensity: float, _: np.random.Generator, scale: float) -> Bytes:
    if intensity == 0:
        return image.copy()
    size = min(101, int(3 + 300 * intensity)) | 1
    planes = _planes(image)
    blurred = np.floor(_gaussian(planes, _odd(size * scale), 20 * intensity * scale) + _EXACT)
    return _from_planes((1 - 0.7 * intensity) * planes + 0.9 * intensity * blurred)


def _color_diffusion(image: Bytes, intensity: float, _: np.random.Generator, scale: float) -> Bytes:
    if intensity == 0:
        return image.copy()
    size = 3 + 2 * int(20 * intensity)
    planes = _planes(image)
    blurred = _gaussian(planes, _odd(size * scale), 50 * intensity * scale)
    diffused = np.floor(np.float32(intensity**2) * blurred + _EXACT)
    return _from_planes(max(0.1, 1 - 0.9 * intensity) * planes + min(0.9, 0.9 * intensity) * diffused)


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


def _motion_blur(image: Bytes, intensity: float, generator: np.random.Generator, scale: float) -> Bytes:
    degrees = generator.uniform(0, 360)
    size = max(5, int(30 * intensity))
    if scale < 1:
        kernel = _shrunk(_motion_kernel(size, degrees), scale)
    else:
        kernel = _motion_kernel(max(5, int(size * scale)), degrees)
    kernel = kernel / kernel.sum()
    return _to_bytes(_correlated(image, kernel))


def _correlated(image: Bytes, kernel: NDArray[np.float64]) -> Floats:
    """(H, W, 3): the correlation with a sparse kernel anchored at its middle, over mirrored borders."""
    anchor = len(kernel) // 2
    after = len(kernel) - 1 - anchor
    height, width = image.shape[:2]
    rows, columns = _mirrored(height, anchor, after), _mirrored(width, anchor, after)
    padded = image[rows][:, columns].astype(np.float32, order="C")
    taps = np.argwhere(kernel > 1e-6)
    if len(taps) > _TAPS_BEFORE_FOURIER:
        # Long lines on large photographs: the cost of a transform does not grow with the line.
        spectrum = fft.rfft2(padded, axes=(0, 1))
        spectrum *= np.conj(fft.rfft2(kernel.astype(np.float32), s=padded.shape[:2]))[..., None]
        return fft.irfft2(spectrum, s=padded.shape[:2], axes=(0, 1))[:height, :width]
    stride = padded.shape[1] * 3
    # Over the flattened rows every tap is one contiguous shift; what wraps round lies beyond the width.
    flat = np.append(padded.ravel(), np.zeros(stride, np.float32))
    blurred = np.zeros(height * stride, np.float32)
    shifted = np.empty_like(blurred)
    for row, column in taps:
        start = row * stride + column * 3
        np.multiply(flat[start : start + len(blurred)], np.float32(kernel[row, column]), out=shifted)
        blurred += shifted
    return blurred.reshape(height, -1, 3)[:, :width]


def _gaussian_noise(image: Bytes, intensity: float, generator: np.random.Generator, _: float) -> Bytes:
    noise = generator.standard_normal(image.shape, dtype=np.float32)
    noise *= np.float32(75 * intensity)
    noise += image
    np.clip(noise, 0, 255, out=noise)
    return noise.astype(np.uint8)


def _jpeg_compression(image: Bytes, intensity: float, _: np.random.Generator, __: float) -> Bytes:
    quality = min(100, max(5, int(100 - 95 * intensity)))
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return np.array(Image.open(buffer))


def _dark_illumination(image: Bytes, intensity: float, _: np.random.Generator, __: float) -> Bytes:
    return (np.arange(256) * (1 - intensity**2)).astype(np.uint8)[image]


_LEVELS_FROM_ONE = np.maximum(np.arange(256), 1)
_SATURATION_RECIPROCALS = np.rint((255 << 12) / _LEVELS_FROM_ONE).astype(np.int32)
_HUE_RECIPROCALS = np.rint((30 << 12) / _LEVELS_FROM_ONE).astype(np.int32)


def _hsv_saturation(image: Bytes, intensity: float, _: np.random.Generator, __: float) -> Bytes:
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
        value * np.floor(saturation * np.float32(1 - intensity) + _EXACT).astype(np.float32) / np.float32(255)
    )
    result = np.empty(image.shape, np.uint8)
    for channel, turned in enumerate((5, 3, 1)):
        place = (hue + turned) % 6
        share = np.clip(np.minimum(place, 4 - place), 0, 1)
        result[..., channel] = value - lost * share + _EXACT
    return result


def _scan_lines(image: Bytes, intensity: float, _: np.random.Generator, scale: float) -> Bytes:
    period = max(3, int(20 / (intensity + 0.1))) * scale
    width = max(5, int(7 * intensity)) * scale
    edges = np.arange(image.shape[0] + 1)
    # Dark length up to each row edge; its difference is the share of the row that lies under a line.
    dark = np.floor(edges / period) * width + np.minimum(edges % period, width)
    factor = 1 - 0.99 * np.clip(np.diff(dark), 0, 1)
    return (image * factor[:, None, None] + 1e-9).astype(np.uint8)


def _sharpness_change(image: Bytes, intensity: float, _: np.random.Generator, __: float) -> Bytes:
    height, width = image.shape[:2]
    padded = image[_mirrored(height, 1, 1)][:, _mirrored(width, 1, 1)].astype(np.float32, order="C")
    centre = padded[1:-1, 1:-1]
    crossed = 5 * centre - padded[:-2, 1:-1] - padded[2:, 1:-1] - padded[1:-1, :-2] - padded[1:-1, 2:]
    sharpened = np.clip(np.rint(np.float32(80 * intensity) * crossed), 0, 255)
    return _to_bytes(0.7 * centre + 0.3 * sharpened)


def _turbulence(image: Bytes, intensity: float, _: np.random.Generator, scale: float) -> Bytes:
    height, width = image.shape[:2]
    rows = np.arange(height)
    across = 40 * scale * intensity * np.sin(rows / (30 * scale) + 5 * intensity)
    y = np.clip(rows + 0.7 * across, 0, height - 1)
    x = np.clip(np.arange(width) + across[:, None], 0, width - 1)
    top, left = y.astype(np.intp), x.astype(np.intp)
    below, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    down = (y - top).astype(np.float32)[:, None, None]
    along = (x - left).astype(np.float32)[:, :, None]
    mixed = image[top] * (1 - down) + image[below] * down
    line = rows[:, None]
    return _to_bytes(mixed[line, left] * (1 - along) + mixed[line, right] * along)


CORRUPTIONS: dict[str, Corruption] = {
    entry.name: entry
    for entry in (
        Corruption("lens_blur", "Lens blur", "capture", False, _lens_blur, True),
        Corruption("motion_blur", "Motion blur", "capture", True, _motion_blur, False),
        Corruption("hsv_saturation", "Saturation loss", "capture", False, _hsv_saturation, False),
        Corruption("jpeg_compression", "JPEG compression", "transmission", False, _jpeg_compression, False),
        Corruption("scan_lines", "Scan lines", "transmission", False, _scan_lines, False),
        Corruption("dark_illumination", "Darkness", "environment", False, _dark_illumination, True),
        Corruption("atmospheric_turbulence", "Turbulence", "environment", False, _turbulence, True),
        Corruption("gaussian_noise", "Gaussian noise", "environment", True, _gaussian_noise, True),
        Corruption("color_diffusion", "Colour diffusion", "environment", False, _color_diffusion, True),
        Corruption("sharpness_change", "Sharpening", "post-processing", False, _sharpness_change, False),
    )
}
