"""Numbers of patches as colours over a picture: the one way in which panels draw a map."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

ENLARGED_TO = 384
"""Pixels that the longer side comes near to, by a whole factor, so that pixels stay square and sharp."""
OVERLAY = 0.8
"""How much of the grey picture the colours cover."""
GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""What red, green and blue count for in the brightness of a pixel (Rec. 601)."""


def cividis() -> NDArray[np.float32]:
    """The colour map for magnitudes, float32 (256, 3) in 0..255."""
    import matplotlib

    return (matplotlib.colormaps["cividis"](np.arange(256))[:, :3] * 255).astype(np.float32)


def scale_bar(width: int = 240, height: int = 10) -> Image:
    """The colours of a map from its low end (left) to its high end, uint8 (height, width, 3)."""
    return np.broadcast_to(
        cividis()[np.linspace(0, 255, width).round().astype(int)], (height, width, 3)
    ).astype(np.uint8)


def magnification(picture: Image) -> int:
    """The whole number that brings the picture's longer side near ENLARGED_TO; 1 for larger ones."""
    return max(1, round(ENLARGED_TO / max(picture.shape[:2])))


def shaded(
    picture: Image,
    boxes: NDArray[np.floating],
    values: NDArray[np.floating] | None,
    span: tuple[float, float],
    *,
    chosen: int | None = None,
    marked: NDArray[np.bool_] | None = None,
) -> Image:
    """Values in cividis over the grey picture, one for each patch, enlarged by a whole number.

    Args:
        picture: uint8 (H, W, 3).
        boxes: (patches, 4), x0, y0, x1, y1 in pixels of the picture.
        values: (patches,); None leaves the picture in its own colours. NaN leaves a patch grey.
        span: the values at the low and the high end of the colours; beyond them the end's colour.
        chosen: a patch to outline in black and white.
        marked: bool (patches,): patches to mark with a cross.
    """
    k = magnification(picture)
    large = np.repeat(np.repeat(picture.astype(np.float32), k, axis=0), k, axis=1)
    corners = _corners(boxes, picture)
    if values is not None:
        large = np.repeat((large @ GREY)[..., None], 3, axis=2)
        _tint(large, corners, np.asarray(values, np.float64), span)
    for x0, y0, x1, y1 in corners[np.flatnonzero(marked)] if marked is not None else ():
        _cross(large, x0, y0, x1, y1)
    if chosen is not None:
        x0, y0, x1, y1 = corners[chosen]
        _outline(large, x0, y0, x1, y1, 0.0)
        _outline(large, x0 + 1, y0 + 1, x1 - 1, y1 - 1, 255.0)
        _outline(large, x0 + 2, y0 + 2, x1 - 2, y1 - 2, 255.0)
    return np.clip(large + 0.5, 0, 255).astype(np.uint8)


def shaded_cells(picture: Image, values: NDArray[Any], high: float) -> Image:
    """Values 0 to `high` of each cell of a grid (rows, cols) that divides the picture; not enlarged."""
    y, x = (np.arange(n + 1) * side // n for n, side in zip(values.shape, picture.shape[:2], strict=True))
    corners = [(x0, y0, x1, y1) for y0, y1 in pairwise(y) for x0, x1 in pairwise(x)]
    grey = np.repeat((picture.astype(np.float32) @ GREY)[..., None], 3, axis=2)
    _tint(grey, corners, np.asarray(values, np.float64).ravel(), (0.0, high))
    return np.clip(grey + 0.5, 0, 255).astype(np.uint8)


def _tint(
    grey: NDArray[np.float32],
    corners: Iterable[Any],
    values: NDArray[np.float64],
    span: tuple[float, float],
) -> None:
    """Give each patch the colour of its value: its mean is that colour, whatever the picture is there.

    So maps of a bright and of a dark picture compare, with one another and with the scale; what is left of
    the picture is what differs within a patch. A patch whose value is not known stays grey.
    """
    low, high = span
    share = (values - low) / (high - low if high > low else 1.0)
    known = np.isfinite(share)
    colours = cividis()[np.clip(np.where(known, share, 0) * 255 + 0.5, 0, 255).astype(np.uint8)]
    for (x0, y0, x1, y1), colour, told in zip(corners, colours, known, strict=True):
        part = grey[y0:y1, x0:x1]
        if told and part.size:
            part[:] = colour + (1 - OVERLAY) * (part - part.mean())


def enlarged_picture(picture: Image) -> Image:
    """The picture in its own colours, enlarged as `shaded` does."""
    k = magnification(picture)
    return np.repeat(np.repeat(picture, k, axis=0), k, axis=1)


FOR, AGAINST = np.array([213, 94, 0], np.float32), np.array([0, 114, 178], np.float32)
"""Okabe and Ito's vermilion and blue, for what speaks for and against something."""


def weighed(
    picture: Image, boxes: NDArray[np.floating], values: NDArray[np.floating], opacity: float = OVERLAY
) -> Image:
    """Values in −1..1 over the grey picture, enlarged by a whole number: the larger, the more colour.

    Above 0 the colour is FOR, below AGAINST; at 0 the picture is left grey, at ±1 `opacity` of it is covered.

    Args:
        picture: uint8 (H, W, 3).
        boxes: (patches, 4), x0, y0, x1, y1 in pixels of the picture.
        values: (patches,); beyond ±1 as at ±1, NaN as 0.
        opacity: 0..1.
    """
    k = magnification(picture)
    large = np.repeat(np.repeat(picture.astype(np.float32), k, axis=0), k, axis=1)
    large = np.repeat((large @ GREY)[..., None], 3, axis=2)
    shares = np.clip(np.nan_to_num(np.asarray(values, np.float32)), -1, 1)
    for (x0, y0, x1, y1), share in zip(_corners(boxes, picture), shares, strict=True):
        part = large[y0:y1, x0:x1]
        part += opacity * abs(share) * ((FOR if share > 0 else AGAINST) - part)
    return np.clip(large + 0.5, 0, 255).astype(np.uint8)


def outlined(picture: Image, mask: NDArray[np.bool_]) -> Image:
    """The picture in its own colours, a thing's edge in white with black around, enlarged by a whole number.

    Args:
        picture: uint8 (H, W, 3).
        mask: bool (H, W).
    """
    from scipy.ndimage import binary_dilation, binary_erosion

    k = magnification(picture)
    large = np.repeat(np.repeat(picture, k, axis=0), k, axis=1)
    inside = np.repeat(np.repeat(mask, k, axis=0), k, axis=1)
    wide, near = binary_dilation(inside, iterations=3), binary_dilation(inside, iterations=1)
    large[wide & ~near] = 0
    large[near & ~binary_erosion(inside, iterations=1)] = 255
    return large


def weighed_bar(opacity: float = OVERLAY, width: int = 240, height: int = 10) -> Image:
    """The colours of `weighed` over middle grey from −1 (left) to 1, uint8 (height, width, 3)."""
    share = np.linspace(-1, 1, width, dtype=np.float32)[:, None]
    colours = 128 + opacity * np.abs(share) * (np.where(share > 0, FOR, AGAINST) - 128)
    return np.broadcast_to(np.rint(colours), (height, width, 3)).astype(np.uint8)


def patch_at(picture: Image, boxes: NDArray[np.floating], x: float, y: float) -> int:
    """The patch under, or nearest to, a pixel (x to the right, y down) of what `shaded` draws."""
    corners = _corners(boxes, picture)
    dx = np.maximum(np.maximum(corners[:, 0] - x, x - corners[:, 2] + 1), 0)
    dy = np.maximum(np.maximum(corners[:, 1] - y, y - corners[:, 3] + 1), 0)
    return int((dx + dy).argmin())


def _corners(boxes: NDArray[np.floating], picture: Image) -> NDArray[np.int64]:
    """Boxes in pixels of the enlarged picture, int64 (patches, 4), cut where they reach beyond it.

    Cells of a padded image do: a slice that begins below 0 would be none at all.
    """
    height, width = picture.shape[:2]
    inside = np.clip(boxes, 0, np.array([width, height, width, height], np.float64))
    return np.rint(inside * magnification(picture)).astype(np.int64)


def _outline(out: NDArray[np.float32], x0: int, y0: int, x1: int, y1: int, value: float) -> None:
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    out[y0, x0:x1] = out[y1 - 1, x0:x1] = value
    out[y0:y1, x0] = out[y0:y1, x1 - 1] = value


def _cross(out: NDArray[np.float32], x0: int, y0: int, x1: int, y1: int) -> None:
    """Two diagonals within the middle half of a patch, white on black so that they show on any colour."""
    side = min(x1 - x0, y1 - y0)
    reach = max(1, side // 4)
    x, y = (x0 + x1) // 2, (y0 + y1) // 2
    steps = np.arange(-reach, reach + 1)
    height, width = out.shape[:2]
    for shift, value in ((1, 0.0), (0, 255.0)):
        for sign in (1, -1):
            columns = np.clip(x + steps + shift, 0, width - 1)
            out[np.clip(y + sign * steps, 0, height - 1), columns] = value
