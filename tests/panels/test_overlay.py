"""Numbers over a picture: sharp, at their places, in the colours of the scale."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.panels.overlay import (
    ENLARGED_TO,
    FOR,
    cividis,
    magnification,
    patch_at,
    scale_bar,
    shaded,
    shaded_cells,
    weighed,
)

PICTURE = np.full((96, 96, 3), 100, np.uint8)
EDGE = np.arange(12) * 8.0
BOXES = np.array([[x, y, x + 8, y + 8] for y in EDGE for x in EDGE], np.float32)


def test_colours_are_those_of_the_scale_and_the_patch_is_outlined() -> None:
    values = np.linspace(0, 2, 144)
    drawn = shaded(PICTURE, BOXES, values, (0.0, 2.0), chosen=30)
    k = magnification(PICTURE)
    assert k * 96 == ENLARGED_TO and drawn.shape == (384, 384, 3) and drawn.dtype == np.uint8
    for patch, colour in ((0, cividis()[0]), (143, cividis()[-1])):
        x0, y0, _, _ = (BOXES[patch] * k).astype(int)
        assert np.abs(drawn[y0 + 16, x0 + 16] - colour).max() <= 1
    x0, y0, x1, _ = (BOXES[30] * k).astype(int)
    assert (drawn[y0, x0:x1] == 0).all() and (drawn[y0 + 1, x0 + 1 : x1 - 1] == 255).all()


@pytest.mark.parametrize("bright", [0.15, 1.0])
def test_a_patch_has_the_colour_of_its_value_however_dark_the_picture_is(bright: float) -> None:
    lit = (np.random.default_rng(0).integers(60, 200, (96, 96, 3)) * bright).astype(np.uint8)
    values = np.linspace(0.1, 0.9, 144)
    wanted = cividis()[np.round(values * 255).astype(int)]
    drawn = shaded(lit, BOXES, values, (0.0, 1.0)).astype(float)
    cells = drawn.reshape(12, 32, 12, 32, 3)
    assert np.abs(cells.mean(axis=(1, 3)).reshape(144, 3) - wanted).max() < 1.5
    assert cells.std(axis=(1, 3)).min() > 0.5, "what differs within a patch is still seen"
    small = shaded_cells(lit, values.reshape(12, 12), 1.0).astype(float).reshape(12, 8, 12, 8, 3)
    assert np.abs(small.mean(axis=(1, 3)).reshape(144, 3) - wanted).max() < 1.5


def test_what_is_beyond_the_scale_has_the_colour_of_its_end_and_what_is_unknown_none() -> None:
    values = np.zeros(144)
    values[:3] = (-5, 7, np.nan)
    drawn = shaded(PICTURE, BOXES, values, (0.0, 1.0))
    bar = shaded(PICTURE, BOXES, np.r_[0.0, 1.0, np.zeros(142)], (0.0, 1.0))
    assert (drawn[16, 16] == bar[16, 16]).all() and (drawn[16, 48] == bar[16, 48]).all()
    assert (drawn[16, 80] == 100).all()
    flat = shaded(PICTURE, BOXES, np.zeros(144), (0.0, 0.0))
    assert (flat == bar[16, 16]).all()


def test_without_values_the_picture_keeps_its_colours() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    assert (shaded(picture, BOXES, None, (0, 1))[::4, ::4] == picture).all()


def test_marked_patches_are_crossed_within_themselves() -> None:
    marked = np.zeros(144, bool)
    marked[[0, 40]] = True
    plain = shaded(PICTURE, BOXES, np.zeros(144), (0.0, 1.0))
    crossed = shaded(PICTURE, BOXES, np.zeros(144), (0.0, 1.0), marked=marked)
    where = np.argwhere((plain != crossed).any(axis=2)) // 32
    assert {(int(row), int(col)) for row, col in where} == {(0, 0), (3, 4)}


@pytest.mark.parametrize("token", [0, 11, 12, 77, 143])
def test_a_pixel_finds_its_patch(token: int) -> None:
    row, col = divmod(token, 12)
    assert patch_at(PICTURE, BOXES, col * 32 + 16, row * 32 + 16) == token
    assert patch_at(PICTURE, BOXES, 5000, 5000) == 143


def test_a_cell_that_reaches_beyond_the_picture_is_drawn_as_far_as_it_lies_in_it() -> None:
    beyond = np.array([[-8, -3, 8, 8], [8, 0, 90, 96], [90, 0, 120, 96]], np.float32)
    maps = (
        (weighed(PICTURE, beyond, np.ones(3), 1.0), FOR),
        (shaded(PICTURE, beyond, np.ones(3), (0.0, 1.0)), cividis()[-1]),
    )
    for drawn, colour in maps:
        for x, y in ((0, 0), (31, 31), (383, 383)):
            assert np.abs(drawn[y, x] - colour).max() <= 1
        assert (drawn[33, 31] == 100).all()
    assert patch_at(PICTURE, beyond, 0, 0) == 0


def test_the_scale_runs_from_low_to_high() -> None:
    bar = scale_bar(100, 4)
    assert bar.shape == (4, 100, 3) and bar[0, 0].sum() < bar[0, -1].sum()
