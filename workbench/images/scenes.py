"""Seeded scenes with ground truth: objects over backgrounds, with depth, instance and class maps.

A scene is a function of its split and its seed alone. All its random numbers come from one generator seeded
with both, so neither the batch nor its size matters. One to four objects of different shapes float before a
wall or before a ground and a sky, at depths that do not follow from their height in the picture: what says
which is nearer is who covers whom, size in perspective, and haze. Every object shows at least 62 % of its
area, and a digit all of its ink.

Three things keep the splits apart: the split's name goes into the random stream; no handwritten digit serves
two splits; and the colour-shape pairs in HELD_OUT_PAIRS appear in the test split only, in about half of its
scenes. All splits share the photographs behind the objects.

How scenes are composed, lit and hazed is ours; no other generator's code or numbers are in here.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from workbench.errors import Refusal
from workbench.images.scene_materials import LIGHT_PAINTS, PAINTS, digit_images, digit_pool, photographs
from workbench.images.scene_paint import Look, Patches, Setting, paint_backgrounds, paint_objects
from workbench.images.scene_shapes import DIGIT_HOLDERS, OUTLINES

Kind = TypeVar("Kind", bound=np.generic)
Split = Literal["train", "validation", "test"]
Array = NDArray[np.float32]
Whole = NDArray[np.int64]
Reals = NDArray[np.float64]

SHAPES = tuple(OUTLINES)
COLOURS = tuple(PAINTS)
TEXTURES = ("plain", "striped", "dotted")
SIZES = ("small", "large")
CLASSES = ("wall", "sky", "ground", *SHAPES)
HELD_OUT_PAIRS = (
    ("red", "heart"),
    ("green", "triangle"),
    ("blue", "star"),
    ("yellow", "moon"),
    ("purple", "ring"),
    ("orange", "square"),
    ("cyan", "cross"),
    ("white", "circle"),
)
"""Colour-shape pairs that only the test split shows: one for each colour and each shape."""

MOST_OBJECTS = 4
LEAST_VISIBLE = 0.62
_LAYOUTS = 14
_HELD_OUT = np.zeros((len(COLOURS), len(SHAPES)), bool)
for _colour, _shape in HELD_OUT_PAIRS:
    _HELD_OUT[COLOURS.index(_colour), SHAPES.index(_shape)] = True
_RADII = (12.0, 18.8)
_PAINT = np.array(list(PAINTS.values()), np.float32)
_IS_LIGHT = np.array([name in LIGHT_PAINTS for name in COLOURS])
_HOLDERS = np.array([SHAPES.index(name) for name in DIGIT_HOLDERS])


@dataclass(frozen=True)
class Objects:
    """The objects of N scenes, M places each; an empty place has present False, lengths 0, indices -1."""

    shape: NDArray[np.int8]
    """(N, M) index into SHAPES."""
    colour: NDArray[np.int8]
    """(N, M) index into COLOURS."""
    texture: NDArray[np.int8]
    """(N, M) index into TEXTURES."""
    size: NDArray[np.int8]
    """(N, M) index into SIZES."""
    digit: NDArray[np.int8]
    """(N, M) the digit it carries, -1 for none."""
    x: Array
    """(N, M) centre from the left edge, 0..1."""
    y: Array
    """(N, M) centre from the upper edge, 0..1."""
    depth: Array
    """(N, M) 0 near .. 1 far."""
    radius: Array
    """(N, M) radius as a share of the picture's side."""
    visible: Array
    """(N, M) share of its area that nothing nearer covers."""
    covers: NDArray[np.bool_]
    """(N, M, M) whether object [a] hides some of object [b]."""
    digit_source: NDArray[np.int16]
    """(N, M) index of the digit's image in scikit-learn's digits, -1 for none."""
    present: NDArray[np.bool_]
    """(N, M) whether there is an object at this place."""


@dataclass(frozen=True)
class Scenes:
    """A batch of N scenes of S by S pixels."""

    images: NDArray[np.uint8]
    """(N, S, S, 3) RGB."""
    depth: Array
    """(N, S, S) 0 near .. 1 far."""
    instance: NDArray[np.uint8]
    """(N, S, S) 0 background, k + 1 the object at place k."""
    classes: NDArray[np.uint8]
    """(N, S, S) index into CLASSES."""
    objects: Objects
    seeds: Whole
    """(N,)."""
    split: str

    def __len__(self) -> int:
        return len(self.images)


def generate(seeds: Sequence[int] | Whole, split: Split = "train", size: int = 96) -> Scenes:
    """The scenes with these seeds (non-negative integers), `size` pixels wide and high, at least 32.

    Raises Refusal for an unknown split, a negative or missing seed, or a size under 32.
    """
    numbers = np.asarray(seeds, np.int64)
    if split not in get_args(Split):
        raise Refusal(f"There is no split called {split!r}; choose train, validation or test.")
    if numbers.ndim != 1 or not len(numbers) or numbers.min() < 0:
        raise Refusal("Scenes need a list of at least one seed, each zero or more.")
    if size < 32:
        raise Refusal(f"A scene of {size} pixels is too small to show its objects; ask for 32 or more.")
    cast = _Cast.draw(_Draws(numbers, split), split, len(photographs(size)[0]))
    return _render(cast, numbers, split, size)


class _Draws:
    """Uniform numbers in 0..1, one row for each scene, handed out in order of asking."""

    _COLUMNS = 320

    def __init__(self, seeds: Whole, split: str) -> None:
        name = zlib.crc32(split.encode())
        self._rows = np.stack([np.random.default_rng((name, int(s))).random(self._COLUMNS) for s in seeds])
        self._next = 0

    def take(self, *shape: int) -> Reals:
        """(N, *shape) fresh numbers."""
        count = int(np.prod(shape, initial=1))
        self._next += count
        if self._next > self._COLUMNS:
            raise AssertionError("a scene draws more numbers than it has; raise _COLUMNS")
        return self._rows[:, self._next - count : self._next].reshape(len(self._rows), *shape)


def _choose(uniform: Reals, shares: Sequence[float]) -> Whole:
    """Indices drawn with these shares, from uniform numbers."""
    return np.minimum(np.searchsorted(np.cumsum(shares), uniform, side="right"), len(shares) - 1)


def _rgb(hue: Reals, saturation: Reals, value: Reals) -> Array:
    """(..., 3) sRGB from hue, saturation and value in 0..1."""
    wheel = np.abs((hue[..., None] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
    return (value[..., None] * (1 - saturation[..., None] * (1 - np.clip(wheel, 0, 1)))).astype(np.float32)


@dataclass(frozen=True)
class _Cast:
    """All choices behind N scenes, before a pixel is painted."""

    present: NDArray[np.bool_]
    shape: Whole
    colour: Whole
    texture: Whole
    size: Whole
    digit: Whole
    digit_source: Whole
    depth: Array
    angle: Array
    pattern: Array
    digit_scale: Array
    light: Array
    layouts: Array
    crowded: NDArray[np.bool_]
    haze: Array
    setting: Setting

    @classmethod
    def draw(cls, draws: _Draws, split: Split, photograph_count: int) -> _Cast:
        count = 1 + _choose(draws.take(), (0.10, 0.28, 0.32, 0.30))
        scenes = np.arange(len(count))
        places = np.arange(MOST_OBJECTS)
        present = places < count[:, None]

        # The first one or two objects of a scene may carry a digit, so their shape must be able to.
        bearers = _choose(draws.take(), (0.53, 0.38, 0.09))
        bears = (places < bearers[:, None]) & present
        order = draws.take(len(SHAPES))
        first = np.argsort(draws.take(len(_HOLDERS)), axis=1)[:, :2]
        for place in range(2):
            chosen = _HOLDERS[first[:, place]]
            order[scenes, chosen] = np.where(bears[:, place], place - 2, order[scenes, chosen])
        shape = np.argsort(order, axis=1)[:, :MOST_OBJECTS]
        colour = (draws.take(MOST_OBJECTS) * len(COLOURS)).astype(np.int64)
        if split == "test":
            shows = draws.take() < 0.28
            which = np.minimum((draws.take() * count).astype(np.int64), count - 1)
            partner = _HELD_OUT.argmax(axis=0)[shape[scenes, which]]
            colour[scenes, which] = np.where(shows, partner, colour[scenes, which])
        else:
            draws.take(2)
            step = 1 + (draws.take(MOST_OBJECTS) * (len(COLOURS) - 1)).astype(np.int64)
            colour = np.where(_HELD_OUT[colour, shape], (colour + step) % len(COLOURS), colour)
        texture = np.where(bears, 0, _choose(draws.take(MOST_OBJECTS), (0.22, 0.39, 0.39)))
        large = np.where(count < 4, 0.46, 0.38)[:, None]
        size = np.where(bears, 1, draws.take(MOST_OBJECTS) < large).astype(np.int64)

        digit = np.where(bears, (draws.take(MOST_OBJECTS) * 10).astype(np.int64), -1)
        pick = draws.take(MOST_OBJECTS)
        digit_source = np.full_like(digit, -1)
        pools = digit_pool(split)
        for scene, place in np.argwhere(bears):
            pool = pools[digit[scene, place]]
            digit_source[scene, place] = pool[int(pick[scene, place] * len(pool))]

        # Depths are spread evenly, then dealt out at random: neither place nor height tells them.
        rank = np.argsort(np.argsort(np.where(present, draws.take(MOST_OBJECTS), 2 + places), axis=1), axis=1)
        jitter = (draws.take(MOST_OBJECTS) - 0.5) * np.where(count > 1, 0.5, 1.0)[:, None]
        depth = 0.05 + 0.67 * (rank + 0.5 + jitter) / count[:, None]

        angle = (draws.take(MOST_OBJECTS) - 0.5) * np.radians(28)
        pattern = draws.take(MOST_OBJECTS, 3)
        pattern[..., 0] *= np.pi
        digit_scale = 0.94 + 0.12 * draws.take(MOST_OBJECTS)
        azimuth = -np.pi / 2 + (draws.take() - 0.5) * np.radians(110)
        light = np.stack([0.66 * np.cos(azimuth), 0.66 * np.sin(azimuth), np.full(len(count), 0.75)], axis=1)
        layouts = draws.take(_LAYOUTS, MOST_OBJECTS, 2)
        crowded = draws.take() < 0.62
        setting = _draw_setting(draws, photograph_count)
        air = setting.colours[:, :2].mean(axis=1) * 0.55 + np.array([0.72, 0.75, 0.79]) * 0.45
        amount = 0.05 + 0.55 * np.clip(depth, 0, 1) ** 1.2 * (0.85 + 0.3 * draws.take())[:, None]
        air = np.broadcast_to(air[:, None], (*depth.shape, 3))
        haze = np.concatenate([air, amount[..., None]], axis=2)
        return cls(
            present, shape, colour, texture, size, digit, digit_source,
            depth.astype(np.float32), angle.astype(np.float32), pattern.astype(np.float32),
            digit_scale.astype(np.float32), light.astype(np.float32), layouts.astype(np.float32), crowded,
            haze.astype(np.float32), setting,
        )  # fmt: skip


def _draw_setting(draws: _Draws, photograph_count: int) -> Setting:
    kind = _choose(draws.take(), (0.28, 0.32, 0.22, 0.18))
    standing = (kind == 0) | (kind == 2)
    horizon = np.where(standing, 2.0, 0.30 + 0.34 * draws.take())
    hue = draws.take(2)
    saturation = 0.06 + 0.28 * draws.take(2)
    value = 0.42 + 0.24 * draws.take(2)
    value[:, 1] = np.where(standing, value[:, 1], value[:, 1] * 0.82)
    # Two neighbouring colours above, two below: the ground gets a hue of its own.
    turn = (draws.take(2) - 0.5) * 0.16
    fade = (draws.take(2) - 0.5) * 0.22
    hues = np.stack([hue[:, 0], hue[:, 0] + turn[:, 0], hue[:, 1], hue[:, 1] + turn[:, 1]], axis=1) % 1
    values = np.stack(
        [
            value[:, 0] - fade[:, 0],
            value[:, 0] + fade[:, 0],
            value[:, 1] + 0.06,
            value[:, 1] - 0.06 + fade[:, 1] / 2,
        ],
        axis=1,
    )
    colours = _rgb(hues, np.repeat(saturation, 2, axis=1), np.clip(values, 0.28, 0.74))
    photograph = np.where(kind >= 2, (draws.take() * photograph_count).astype(np.int64), -1)
    crop = draws.take(4)
    crop[:, 3] = 0.040 + 0.028 * crop[:, 3]
    distance = draws.take(3)
    distance[:, 0] = np.where(standing, 0.82 + 0.16 * distance[:, 0], 0.77 + 0.08 * distance[:, 0])
    distance[:, 1:] = (distance[:, 1:] - 0.5) * 0.14
    return Setting(
        horizon=horizon.astype(np.float32),
        colours=colours,
        direction=(draws.take() * 2 * np.pi).astype(np.float32),
        cloud=(draws.take(5, 5) * 2 - 1).astype(np.float32),
        photograph=photograph,
        crop=crop.astype(np.float32),
        distance=distance.astype(np.float32),
    )


def _radii(cast: _Cast, size: int) -> Array:
    """(N, M) pixels. Perspective never makes a small object as large as a large one."""
    nearness = 1.13 - 0.36 * cast.depth
    return (np.array(_RADII, np.float32)[cast.size] * nearness * (size / 96)).astype(np.float32)


def _places(cast: _Cast, radii: Array, size: int) -> tuple[Whole, Whole]:
    """Layouts as x and y in whole pixels (N, L, M, 2), and their order of preference (N, L), best first.

    Who covers how much of whom is judged by discs in place of outlines here; the outlines decide later.
    """
    reach = np.ceil(radii * 1.08).astype(np.int64)[:, None, :, None]
    at = reach + np.floor(cast.layouts * (size - 2 * reach)).astype(np.int64)
    gap = at[:, :, :, None] - at[:, :, None]
    distance = np.sqrt(np.square(gap).sum(axis=-1))
    reaches = radii[:, None, :, None] * 0.94
    other = radii[:, None, None, :] * 0.94
    shared = np.clip((reaches + other - distance) / (2 * np.minimum(reaches, other)), 0, 1)
    shared = shared * shared * (3 - 2 * shared) * np.square(np.minimum(reaches, other) / reaches)
    behind = cast.depth[:, :, None] > cast.depth[:, None]
    both = cast.present[:, :, None] & cast.present[:, None] & behind
    hidden = (shared * both[:, None]).sum(axis=-1)
    allowed = np.where(cast.digit >= 0, 0.05, 0.31)[:, None]
    excess = np.maximum(hidden - allowed, 0).sum(axis=-1)
    crowd = np.minimum(hidden, allowed).sum(axis=-1) * np.where(cast.crowded, -1.0, 1.0)[:, None]
    return at, np.argsort(excess * 100 + crowd, axis=1, kind="stable")


@lru_cache(maxsize=8)
def _half(size_index: int, size: int) -> int:
    """Half the side of the patch that holds an object of this size with its shadow."""
    scale = size / 96
    return int(np.ceil(_RADII[size_index] * 1.13 * 1.13 * scale + 3.0 * scale)) + 1


def _look(cast: _Cast, radii: Array, scenes: Whole, places: Whole) -> Look:
    colour = cast.colour[scenes, places]
    paint = _PAINT[colour]
    bears = cast.digit[scenes, places] >= 0
    pale, dark = paint * 0.22 + 0.76, paint * 0.28
    accent = np.where(_IS_LIGHT[colour, None], dark, pale)
    accent = np.where(bears[:, None], np.where(_IS_LIGHT[colour, None], 0.07, 0.99), accent)
    digits = np.zeros((len(scenes), 8, 8), np.float32)
    sources = cast.digit_source[scenes, places]
    digits[bears] = digit_images(sources[bears])
    radius = radii[scenes, places]
    width = np.where(bears, radius * 1.24 * cast.digit_scale[scenes, places], 0)
    return Look(
        shape=cast.shape[scenes, places],
        texture=cast.texture[scenes, places],
        radius=radius,
        angle=cast.angle[scenes, places],
        paint=paint,
        accent=accent.astype(np.float32),
        light=cast.light[scenes],
        pattern=cast.pattern[scenes, places],
        digits=digits,
        digit_size=width.astype(np.float32),
        haze=cast.haze[scenes, places],
    )


@dataclass
class _Piece:
    """One object's patch while its scene is put together."""

    place: int
    half: int
    patches: Patches
    row: int
    mask: NDArray[np.bool_]
    inked: NDArray[np.bool_] | None
    area: int


def _pieces(cast: _Cast, radii: Array, size: int) -> list[list[_Piece]]:
    """For each scene its objects, farthest first."""
    scenes: list[list[_Piece]] = [[] for _ in range(len(cast.present))]
    for size_index in range(len(SIZES)):
        at, places = np.nonzero(cast.present & (cast.size == size_index))
        if not len(at):
            continue
        half = _half(size_index, size)
        look = _look(cast, radii, at, places)
        patches = paint_objects(look, half, size / 96)
        masks = patches.cover >= 0.5
        areas = masks.sum(axis=(1, 2))
        for row, (scene, place) in enumerate(zip(at, places, strict=True)):
            inked = patches.ink[row] > 0.2 if look.digit_size[row] > 0 else None
            scenes[scene].append(_Piece(int(place), half, patches, row, masks[row], inked, int(areas[row])))
    for depths, pieces in zip(cast.depth, scenes, strict=True):
        pieces.sort(key=lambda piece, depths=depths: -depths[piece.place])  # type: ignore[misc]
    return scenes


def _window(at: Whole, half: int, pad: int) -> tuple[slice, slice]:
    x, y = int(at[0]) + pad, int(at[1]) + pad
    return slice(y - half, y + half + 1), slice(x - half, x + half + 1)


def _stack(
    pieces: list[_Piece], at: Whole, pad: int, size: int
) -> tuple[NDArray[np.uint8], dict[int, float]]:
    """The padded instance map of one layout and the share of each object it shows (-1 for a hidden digit)."""
    instance = np.zeros((size + 2 * pad, size + 2 * pad), np.uint8)
    for piece in pieces:
        instance[_window(at[piece.place], piece.half, pad)][piece.mask] = piece.place + 1
    counts = np.bincount(instance.ravel(), minlength=MOST_OBJECTS + 1)
    shares = {}
    for piece in pieces:
        share = counts[piece.place + 1] / piece.area
        if piece.inked is not None and share < 1:
            window = instance[_window(at[piece.place], piece.half, pad)]
            if (window[piece.inked] != piece.place + 1).any():
                share = -1.0
        shares[piece.place] = float(share)
    return instance, shares


def _settle(
    pieces: list[_Piece], layouts: Whole, order: Whole, pad: int, size: int
) -> tuple[list[_Piece], Whole, NDArray[np.uint8], dict[int, float]]:
    """The first layout that shows enough of every object; failing six, the best one less what it hides."""
    best: tuple[float, int] | None = None
    for choice in order[:6]:
        instance, shares = _stack(pieces, layouts[choice], pad, size)
        worst = min(shares.values())
        if worst >= LEAST_VISIBLE:
            return pieces, layouts[choice], instance, shares
        if best is None or worst > best[0]:
            best = (worst, int(choice))
    assert best is not None
    at = layouts[best[1]]
    while True:
        instance, shares = _stack(pieces, at, pad, size)
        worst_place = min(shares, key=shares.__getitem__)
        if shares[worst_place] >= LEAST_VISIBLE:
            return pieces, at, instance, shares
        pieces = [piece for piece in pieces if piece.place != worst_place]


def _render(cast: _Cast, seeds: Whole, split: str, size: int) -> Scenes:
    count = len(seeds)
    radii = _radii(cast, size)
    picture, depth, ground = paint_backgrounds(cast.setting, size)
    layouts, order = _places(cast, radii, size)
    pad = _half(len(SIZES) - 1, size) + round(7 * size / 96)
    inner = slice(pad, pad + size)
    canvas = np.zeros((size + 2 * pad, size + 2 * pad, 3), np.float32)
    distance = np.zeros((size + 2 * pad, size + 2 * pad), np.float32)
    instances = np.zeros((count, size, size), np.uint8)
    present = np.zeros_like(cast.present)
    centre = np.zeros((count, MOST_OBJECTS, 2), np.float32)
    visible = np.zeros((count, MOST_OBJECTS), np.float32)
    covers = np.zeros((count, MOST_OBJECTS, MOST_OBJECTS), bool)
    images = np.empty((count, size, size, 3), np.uint8)
    for scene, pieces in enumerate(_pieces(cast, radii, size)):
        pieces, at, instance, shares = _settle(pieces, layouts[scene], order[scene], pad, size)
        canvas[inner, inner] = picture[scene]
        distance[inner, inner] = depth[scene]
        for piece in pieces:
            place, row = piece.place, piece.row
            present[scene, place] = True
            centre[scene, place] = (at[place] + 0.5) / size
            visible[scene, place] = shares[place]
            window = _window(at[place], piece.half, pad)
            # A near object stands farther off what is behind it, so its shadow falls farther away.
            throw = (2.2 + 3.4 * (1 - cast.depth[scene, place])) * size / 96
            moved = at[place] - np.round(throw * cast.light[scene, :2] / 0.66).astype(np.int64)
            canvas[_window(moved, piece.half, pad)] *= (1 - 0.42 * piece.patches.shadow[row])[..., None]
            under = canvas[window]
            under += piece.patches.cover[row][..., None] * (piece.patches.colour[row] - under)
            relief = cast.depth[scene, place] - np.float32(0.02) * piece.patches.relief[row]
            np.copyto(distance[window], relief, where=piece.mask)
        for near in pieces:
            for far in pieces:
                if cast.depth[scene, near.place] < cast.depth[scene, far.place] and shares[far.place] < 1:
                    seen = instance[_window(at[far.place], far.half, pad)]
                    covers[scene, near.place, far.place] = (seen[far.mask] == near.place + 1).any()
        instances[scene] = instance[inner, inner]
        depth[scene] = distance[inner, inner]
        np.clip(canvas[inner, inner] * 255 + 0.5, 0, 255, out=picture[scene])
        images[scene] = picture[scene]
    backdrop = np.where(ground, CLASSES.index("ground"), CLASSES.index("sky"))
    backdrop = np.where((cast.setting.horizon > 1)[:, None, None], CLASSES.index("wall"), backdrop)
    named = np.concatenate([np.zeros((count, 1), np.int64), cast.shape + CLASSES.index(SHAPES[0])], axis=1)
    classes = np.take_along_axis(named, instances.reshape(count, -1).astype(np.int64), axis=1)
    classes = np.where(instances > 0, classes.reshape(instances.shape), backdrop)

    def kept(column: NDArray[Any], blank: int, kind: type[Kind]) -> NDArray[Kind]:
        return np.where(present, column, blank).astype(kind)

    objects = Objects(
        shape=kept(cast.shape, -1, np.int8),
        colour=kept(cast.colour, -1, np.int8),
        texture=kept(cast.texture, -1, np.int8),
        size=kept(cast.size, -1, np.int8),
        digit=kept(cast.digit, -1, np.int8),
        x=kept(centre[..., 0], 0, np.float32),
        y=kept(centre[..., 1], 0, np.float32),
        depth=kept(cast.depth, 0, np.float32),
        radius=kept(radii / size, 0, np.float32),
        visible=visible,
        covers=covers,
        digit_source=kept(cast.digit_source, -1, np.int16),
        present=present,
    )
    return Scenes(images, depth, instances, classes.astype(np.uint8), objects, seeds, split)
