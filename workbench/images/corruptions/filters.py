"""Filters that the corruptions are made of; borders are mirrored about the end pixels.

Arrays are uint8 (H, W, 3), or as planes float32 (3, H, W).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

EXACT = 1e-3
"""Added before rounding down: a whole number that floating point left just below itself stays whole."""
_ROWS_AT_ONCE = 256
_TAPS_BEFORE_FOURIER = 64


def to_bytes(values: NDArray[np.floating]) -> Bytes:
    """The nearest whole levels, halves to even, saturated."""
    rounded = np.rint(values)
    np.clip(rounded, 0, 255, out=rounded)
    return rounded.astype(np.uint8, order="C")


def planes(image: Bytes) -> Floats:
    """The channels one by one: float32 (3, H, W)."""
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)


def from_planes(planes: NDArray[np.floating]) -> Bytes:
    """Planes as an image, rounded as ``to_bytes`` does."""
    return to_bytes(planes.transpose(1, 2, 0))


def odd(size: float) -> int:
    """The odd whole number at or just above ``size``'s floor, at least 3."""
    return max(3, int(size) | 1)


@lru_cache(maxsize=512)
def mirrored(length: int, before: int, after: int) -> NDArray[np.intp]:
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


def gaussian(values: Floats, size: int, sigma: float) -> Floats:
    """Separable Gaussian of ``size`` taps over (C, H, W): products with banded matrices, quick if small."""
    half = size // 2
    height, width = values.shape[1:]
    padded = values[:, mirrored(height, half, half)][:, :, mirrored(width, half, half)]
    down = np.empty((len(values), height, padded.shape[2]), np.float32)
    for start in range(0, height, _ROWS_AT_ONCE):
        rows = min(_ROWS_AT_ONCE, height - start)
        band = _gaussian_band(rows, size, sigma)
        down[:, start : start + rows] = band @ padded[:, start : start + rows + size - 1]
    across = np.empty_like(values)
    for start in range(0, width, _ROWS_AT_ONCE):
        columns = min(_ROWS_AT_ONCE, width - start)
        band = _gaussian_band(columns, size, sigma)
        across[:, :, start : start + columns] = down[:, :, start : start + columns + size - 1] @ band.T
    return across


def correlated(image: Bytes, kernel: NDArray[np.float64]) -> Floats:
    """(H, W, 3): the correlation with a sparse kernel anchored at its middle, over mirrored borders."""
    anchor = len(kernel) // 2
    after = len(kernel) - 1 - anchor
    height, width = image.shape[:2]
    rows, columns = mirrored(height, anchor, after), mirrored(width, anchor, after)
    padded = image[rows][:, columns].astype(np.float32, order="C")
    taps = np.argwhere(kernel > 1e-6)
    if len(taps) > _TAPS_BEFORE_FOURIER:
        # Long lines on large photographs: the cost of a transform does not grow with the line.
        from scipy import fft  # a third of a second, which the page need not wait for

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
