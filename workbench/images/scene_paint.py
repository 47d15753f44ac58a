"""Paints scenes: objects into small patches, backgrounds into whole frames. Vectorised over everything given.

Lengths are in pixels, colours are sRGB in 0..1, depth runs from 0 (near) to 1 (far). The light model is
ours: an object's edge is rounded off over its bevel, the surface normal tilts along the outline's gradient
there, and a lamp at infinity gives diffuse light and a small highlight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.images.scene_materials import photographs
from workbench.images.scene_shapes import BEVEL, OUTLINES

Array = NDArray[np.float32]
Whole = NDArray[np.int64]

_SHAPE_NAMES = tuple(OUTLINES)
_HEART = _SHAPE_NAMES.index("heart")
_BEVELS = np.array([BEVEL[name] for name in _SHAPE_NAMES], np.float32)


@dataclass(frozen=True)
class Look:
    """How G objects look, one row each."""

    shape: Whole
    """(G,) index into the shapes."""
    texture: Whole
    """(G,) 0 plain, 1 striped, 2 dotted."""
    radius: Array
    """(G,) pixels."""
    angle: Array
    """(G,) radians, the object's own tilt."""
    paint: Array
    """(G, 3) main colour."""
    accent: Array
    """(G, 3) colour of stripes, dots and digit."""
    light: Array
    """(G, 3) unit vector towards the lamp: x right, y down, z towards the viewer."""
    pattern: Array
    """(G, 3) pattern angle in radians and two phases in 0..1."""
    digits: Array
    """(G, 8, 8) ink of a digit image, zeros where there is none."""
    digit_size: Array
    """(G,) pixels the digit image is wide."""
    haze: Array
    """(G, 4) haze colour and how much of it, 0..1."""


@dataclass(frozen=True)
class Patches:
    """Painted objects, each centred on the middle pixel of a square patch of odd side P."""

    colour: Array
    """(G, P, P, 3)."""
    cover: Array
    """(G, P, P) how much of a pixel the object fills, 0..1."""
    shadow: Array
    """(G, P, P) how much of the light its shadow takes, before it is moved off the object."""
    ink: Array
    """(G, P, P) how much of the digit's ink a pixel carries."""
    relief: Array
    """(G, P, P) 0 at the outline, 1 where the surface is nearest to the viewer."""


def paint_objects(look: Look, half: int, scale: float) -> Patches:
    """Patches of side 2*half+1 for G objects; `scale`, the picture's size over 96, scales the patterns."""
    axis = np.arange(-half, half + 1, dtype=np.float32)
    across, down = axis[None, None, :], axis[None, :, None]
    radius = look.radius[:, None, None]
    cos, sin = np.cos(look.angle)[:, None, None], np.sin(look.angle)[:, None, None]
    x, y = (cos * across + sin * down) / radius, (cos * down - sin * across) / radius
    signed: Array = np.empty_like(x)
    for index in np.unique(look.shape):
        mine = look.shape == index
        signed[mine] = OUTLINES[_SHAPE_NAMES[index]](x[mine], y[mine])
    signed *= radius

    cover = np.clip(0.5 - signed, 0, 1)
    shadow = np.clip(0.5 - signed / np.float32(5.0 * scale), 0, 1)
    shadow *= shadow * (3 - 2 * shadow)

    bevel = _BEVELS[look.shape][:, None, None] * radius
    flat = np.clip(-signed / bevel, 0, 1)
    tilt = np.square(1 - flat)
    slope_x, slope_y = np.zeros_like(signed), np.zeros_like(signed)
    slope_x[:, :, 1:-1] = 0.5 * (signed[:, :, 2:] - signed[:, :, :-2])
    slope_y[:, 1:-1, :] = 0.5 * (signed[:, 2:, :] - signed[:, :-2, :])
    lx, ly, lz = (look.light[:, k, None, None] for k in range(3))
    facing = tilt * (slope_x * lx + slope_y * ly) + np.sqrt(np.maximum(1 - tilt * tilt, 0.05)) * lz
    shade = 0.56 + 0.50 * np.clip(facing, -0.3, 1)
    highlight = np.clip(facing - 0.88, 0, 1) * np.float32(1.6) * (tilt > 0.02)

    mixture = _pattern(look, across, down, radius, scale)
    ink = _digit_ink(look, half)
    np.maximum(mixture, ink, out=mixture)
    highlight *= 1 - ink
    amount = look.haze[:, 3, None, None]
    colour = np.empty((*signed.shape, 3), np.float32)
    for channel in range(3):
        paint = look.paint[:, channel, None, None]
        accent = look.accent[:, channel, None, None]
        lit = (paint + (accent - paint) * mixture) * shade + highlight
        colour[..., channel] = lit + (look.haze[:, channel, None, None] - lit) * amount
    return Patches(colour, cover, shadow, ink, flat)


def _pattern(look: Look, across: Array, down: Array, radius: Array, scale: float) -> Array:
    """(G, P, P) share of the accent colour: bars for striped objects, round dots for dotted ones."""
    angle, first, second = (look.pattern[:, k, None, None] for k in range(3))
    cos, sin = np.cos(angle), np.sin(angle)
    mixture = np.zeros((len(look.shape), across.shape[2], across.shape[2]), np.float32)
    period = np.float32(5.2 * scale) + np.float32(0.14) * radius
    striped = look.texture == 1
    if striped.any():
        along = (cos * across + sin * down)[striped] / period[striped] + first[striped]
        wave = np.abs(along - np.round(along)) * period[striped]
        mixture[striped] = np.clip(0.5 + np.float32(0.24) * period[striped] - wave, 0, 1)
    dotted = look.texture == 2
    if dotted.any():
        step = period[dotted] * np.float32(1.02)
        u = (cos * across + sin * down)[dotted] / step + first[dotted]
        v = (cos * down - sin * across)[dotted] / step + second[dotted]
        distance = np.sqrt(np.square(u - np.round(u)) + np.square(v - np.round(v))) * step
        mixture[dotted] = np.clip(0.5 + np.float32(0.31) * step - distance, 0, 1)
    return mixture


def _digit_ink(look: Look, half: int) -> Array:
    """(G, P, P) ink of the digits, enlarged by linear interpolation and sharpened so that strokes read."""
    side = 2 * half + 1
    ink = np.zeros((len(look.shape), side, side), np.float32)
    axis = np.arange(-half, half + 1, dtype=np.float32)
    knots = np.arange(8, dtype=np.float32)
    for row in np.flatnonzero(look.digit_size > 0):
        # A heart is widest above its middle.
        raised = 0.1 * look.radius[row] if look.shape[row] == _HEART else 0
        step = np.float32(8 / look.digit_size[row] * (1.12 if raised else 1))
        across = np.clip(1 - np.abs((axis * step + 3.5)[:, None] - knots), 0, 1)
        down = np.clip(1 - np.abs(((axis + np.float32(raised)) * step + 3.5)[:, None] - knots), 0, 1)
        ink[row] = np.clip((down @ look.digits[row] @ across.T - 0.38) * 2.6, 0, 1)
    return ink


@dataclass(frozen=True)
class Setting:
    """The random choices behind N backgrounds, one row each."""

    horizon: Array
    """(N,) height of the horizon as a share of the picture from the top; 2 for a wall."""
    colours: Array
    """(N, 4, 3): two colours of the wall or sky, two of the ground."""
    direction: Array
    """(N,) radians, along which the wall's colours blend."""
    cloud: Array
    """(N, 5, 5) uneven light, about -1..1."""
    photograph: Whole
    """(N,) index of the photograph, -1 for none."""
    crop: Array
    """(N, 4) where it is cut out (two shares in 0..1), whether mirrored (> 0.5), its contrast in sRGB."""
    distance: Array
    """(N, 3) depth of the wall or of the ground's near edge, and how the wall leans, across and down."""


def paint_backgrounds(setting: Setting, size: int) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Colours (N, size, size, 3), depth (N, size, size) and where the ground is (N, size, size)."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    across, down = axis[None, None, :], axis[None, :, None]
    horizon = setting.horizon[:, None, None]
    wall = horizon > 1
    cos, sin = np.cos(setting.direction)[:, None, None], np.sin(setting.direction)[:, None, None]
    blend = np.clip(0.5 + 0.75 * (cos * (across - 0.5) + sin * (down - 0.5)), 0, 1)
    blend = np.where(wall, blend, np.clip(down / horizon, 0, 1))
    below = np.clip((down - horizon) / np.maximum(1 - horizon, 0.05), 0, 1)
    ground = np.clip((down - horizon) * size + 0.5, 0, 1)

    knots = np.arange(5, dtype=np.float32)
    weight = np.clip(1 - np.abs(axis[:, None] * 4 - knots), 0, 1)
    weight = weight * weight * (3 - 2 * weight)
    cloud = np.matmul(weight, np.matmul(setting.cloud, weight.T)) * np.float32(0.055)

    picture = np.empty((len(setting.horizon), size, size, 3), np.float32)
    for channel in range(3):
        a, b, c, d = (setting.colours[:, k, channel, None, None] for k in range(4))
        above = a + (b - a) * blend
        picture[..., channel] = above + (c + (d - c) * below - above) * ground + cloud
    upright, flattened = photographs(size)
    for row in np.flatnonzero(setting.photograph >= 0):
        bank = upright if setting.horizon[row] > 1 else flattened
        source = bank[setting.photograph[row]]
        shares, mirrored, contrast = setting.crop[row, :2], setting.crop[row, 2] > 0.5, setting.crop[row, 3]
        top = int(shares[0] * (source.shape[0] - size))
        left = int(shares[1] * (source.shape[1] - size))
        cut = source[top : top + size, left : left + size]
        where = 1 if setting.horizon[row] > 1 else ground[row]
        strength = contrast * np.broadcast_to(np.float32(where), (size, 1))
        picture[row] += (cut[:, ::-1] if mirrored else cut) * strength[..., None]
    np.clip(picture, 0.12, 0.80, out=picture)

    near, lean_x, lean_y = (setting.distance[:, k, None, None] for k in range(3))
    leaning = np.clip(near + lean_x * (across - 0.5) + lean_y * (down - 0.5), 0.76, 1)
    lying = np.where(ground >= 0.5, 1 - (1 - near) * below, 1)
    depth = np.where(wall, leaning, np.broadcast_to(lying, leaning.shape)).astype(np.float32)
    on_ground = np.broadcast_to((ground >= 0.5) & ~wall, depth.shape)
    return picture, depth, on_ground
