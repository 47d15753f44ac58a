"""Making a picture smaller before anything else is done with it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workbench.images.read import MIN_SIDE, Picture, read

LONGEST = 1024
"""Long side in pixels above which a picture is fitted before anything else is done with it."""


def size_within(height: int, width: int) -> tuple[int, int]:
    """Height and width with the long side at most LONGEST, in the same proportion to a pixel.

    No side becomes shorter than MIN_SIDE, so a very thin picture is less thin afterwards.
    """
    scale = min(1.0, LONGEST / max(height, width))
    # A side of fewer pixels could not be read again.
    return max(MIN_SIDE, round(height * scale)), max(MIN_SIDE, round(width * scale))


def fitted(picture: Picture) -> Picture:
    """The picture with its long side at most LONGEST pixels, saying so in its notes."""
    height, width = picture.pixels.shape[:2]
    if max(height, width) <= LONGEST:
        return picture
    high, wide = size_within(height, width)
    small = np.asarray(Image.fromarray(picture.pixels).resize((wide, high), Image.Resampling.LANCZOS))
    note = f"Fitted from {width} × {height} to {wide} × {high} pixels."
    if round(min(height, width) * LONGEST / max(height, width)) < MIN_SIDE:
        note += f" Its proportions changed: no side is made shorter than {MIN_SIDE} pixels."
    return type(picture)(small, (*picture.notes, note), read(small).sha256)


def within(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The picture with its long side at most ``side`` pixels: itself where it is small enough."""
    height, width = pixels.shape[:2]
    if max(height, width) <= side:
        return pixels
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def at_size(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture at a height and width, uint8 (H, W, 3), bicubically; the same where it has them."""
    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BICUBIC))


def squared(
    pixels: NDArray[np.uint8], side: int, *maps: NDArray[Any]
) -> tuple[NDArray[np.uint8], list[NDArray[Any]]]:
    """The largest square in the middle of a picture, `side` pixels wide, and the same of maps over it.

    pixels: uint8 (H, W, 3), resampled bicubically with antialiasing; maps: (H, W), nearest neighbour.
    """
    height, width = pixels.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    cut = Image.fromarray(pixels[top : top + short, left : left + short])
    nearest = ((np.arange(side) + 0.5) * short / side).astype(int)
    return (
        np.asarray(cut.resize((side, side), Image.Resampling.BICUBIC)),
        [m[top : top + short, left : left + short][nearest][:, nearest] for m in maps],
    )
