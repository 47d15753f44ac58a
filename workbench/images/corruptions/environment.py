"""What goes wrong before the lens: the dark, hot air, noise, haze."""

from __future__ import annotations

import numpy as np

from workbench.images.corruptions.filters import EXACT, Bytes, from_planes, gaussian, odd, planes, to_bytes


def dark_illumination(image: Bytes, intensity: float, _: np.random.Generator, __: float) -> Bytes:
    """Levels times 1 - i²."""
    return (np.arange(256) * (1 - intensity**2)).astype(np.uint8)[image]


def turbulence(image: Bytes, intensity: float, _: np.random.Generator, scale: float) -> Bytes:
    """Rows and columns displaced by a sine of 40 i pixels."""
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
    return to_bytes(mixed[line, left] * (1 - along) + mixed[line, right] * along)


def gaussian_noise(image: Bytes, intensity: float, generator: np.random.Generator, _: float) -> Bytes:
    """Noise of standard deviation 75 i in each value."""
    noise = generator.standard_normal(image.shape, dtype=np.float32)
    noise *= np.float32(75 * intensity)
    noise += image
    np.clip(noise, 0, 255, out=noise)
    return noise.astype(np.uint8)


def color_diffusion(image: Bytes, intensity: float, _: np.random.Generator, scale: float) -> Bytes:
    """A wide Gaussian, dimmed to i², over what is left of the image."""
    if intensity == 0:
        return image.copy()
    size = 3 + 2 * int(20 * intensity)
    sharp = planes(image)
    blurred = gaussian(sharp, odd(size * scale), 50 * intensity * scale)
    diffused = np.floor(np.float32(intensity**2) * blurred + EXACT)
    return from_planes(max(0.1, 1 - 0.9 * intensity) * sharp + min(0.9, 0.9 * intensity) * diffused)
