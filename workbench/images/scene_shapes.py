"""The outlines of the scene objects as signed distances.

Every function takes coordinates in units of the object's radius (x to the right, y downwards, origin at
the object's centre) and returns a distance in the same unit: negative inside, zero on the outline. Distances
are exact near the outline, which is where antialiasing and bevels need them, and merely of the right sign far
from it. All constructions here are ours: half-planes, discs and boxes, joined by minimum and maximum.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def _disc(x: Field, y: Field, radius: float) -> Field:
    return np.sqrt(x * x + y * y) - np.float32(radius)


def _box(x: Field, y: Field, half_width: float, half_height: float, corner: float) -> Field:
    across = np.abs(x) - np.float32(half_width - corner)
    along = np.abs(y) - np.float32(half_height - corner)
    outside = np.sqrt(np.square(np.maximum(across, 0)) + np.square(np.maximum(along, 0)))
    return outside + np.minimum(np.maximum(across, along), 0) - np.float32(corner)


def circle(x: Field, y: Field) -> Field:
    """A disc; painted as a ball because its bevel is as wide as its radius."""
    return _disc(x, y, 0.96)


def square(x: Field, y: Field) -> Field:
    """A square with slightly rounded corners."""
    return _box(x, y, 0.82, 0.82, 0.14)


def triangle(x: Field, y: Field) -> Field:
    """An equilateral triangle, one corner up, centred on its bounding box."""
    down = y - np.float32(0.26)
    slanted = np.float32(np.sqrt(0.75)) * np.abs(x) - np.float32(0.5) * down
    return np.maximum(slanted, down) - np.float32(0.57)


def star(x: Field, y: Field) -> Field:
    """A five-pointed star, one point up: one edge, repeated by folding the angle."""
    radius = np.sqrt(x * x + y * y)
    angle = np.arctan2(x, -y)
    sector = np.float32(2 * np.pi / 5)
    folded = np.abs(angle - sector * np.round(angle / sector))
    tip, notch = 1.08, 0.5
    inner = (notch * np.cos(np.pi / 5), notch * np.sin(np.pi / 5))
    length = np.hypot(inner[0] - tip, inner[1])
    across, along = np.float32(inner[1] / length), np.float32((tip - inner[0]) / length)
    edge = across * (radius * np.cos(folded) - np.float32(tip)) + along * (radius * np.sin(folded))
    return np.asarray(edge, np.float32)


def ring(x: Field, y: Field) -> Field:
    """A ring whose hole shows what is behind it."""
    return np.abs(_disc(x, y, 0.69)) - np.float32(0.27)


def cross(x: Field, y: Field) -> Field:
    """An upright cross with arms of equal length."""
    return np.minimum(_box(x, y, 0.95, 0.34, 0.08), _box(x, y, 0.34, 0.95, 0.08))


def heart(x: Field, y: Field) -> Field:
    """A square on its corner with a disc on each of its two upper edges."""
    half = np.float32(0.79)
    side = np.abs(x)
    lifted = y - np.float32(0.08)
    body = (side + np.abs(lifted) - half) * np.float32(np.sqrt(0.5))
    lobe = _disc(side - half / 2, lifted + half / 2, float(half) * np.sqrt(0.5))
    # A soft minimum: a hard one would leave creases in the bevel where the parts join.
    return np.float32(0.5) * (body + lobe - np.sqrt(np.square(body - lobe) + np.float32(0.02))) + np.float32(
        0.02
    )


def moon(x: Field, y: Field) -> Field:
    """A crescent: a disc with a second disc taken out of its right side."""
    shifted = x - np.float32(0.12)
    return np.maximum(_disc(shifted, y, 0.98), -_disc(shifted - np.float32(0.52), y + np.float32(0.1), 0.76))


OUTLINES: dict[str, Callable[[Field, Field], Field]] = {
    "circle": circle,
    "square": square,
    "triangle": triangle,
    "star": star,
    "ring": ring,
    "cross": cross,
    "heart": heart,
    "moon": moon,
}
"""Every shape by the word that captions use for it."""

BEVEL: dict[str, float] = {
    "circle": 0.96,
    "square": 0.34,
    "triangle": 0.34,
    "star": 0.36,
    "ring": 0.27,
    "cross": 0.26,
    "heart": 0.40,
    "moon": 0.32,
}
"""How far the rounded edge reaches inwards, in radii; a bevel as wide as a disc's radius makes a ball."""

DIGIT_HOLDERS = ("circle", "square", "heart")
"""Shapes with an unbroken middle that is wide enough for a legible digit."""
