"""Scenes: a function of split and seed alone, maps that fit the image, splits that share nothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from workbench.errors import Refusal
from workbench.images.scene_materials import digit_pool
from workbench.images.scene_shapes import DIGIT_HOLDERS, OUTLINES
from workbench.images.scenes import (
    CLASSES,
    COLOURS,
    HELD_OUT_PAIRS,
    LEAST_VISIBLE,
    SHAPES,
    SIZES,
    TEXTURES,
    Scenes,
    Split,
    generate,
)

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
GOLDEN = [[132.9, 129.9, 93.6], [113.2, 138.7, 127.9], [119.5, 117.4, 135.1], [99.7, 111.2, 110.0]]
GOLDEN_SHAPES = [
    ["ring", "circle"],
    ["square", "triangle"],
    ["square", "circle", "triangle", "cross"],
    ["circle", "moon"],
]
MAPS = ("images", "depth", "instance", "classes")


@pytest.fixture(scope="module")
def many() -> Scenes:
    return generate(np.arange(600), "train")


def pairs_shown(scenes: Scenes) -> set[tuple[str, str]]:
    objects = scenes.objects
    return {
        (COLOURS[colour], SHAPES[shape])
        for colour, shape in zip(objects.colour[objects.present], objects.shape[objects.present], strict=True)
    }


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("size", [96, 64])
def test_a_scene_does_not_depend_on_its_batch(split: Split, size: int) -> None:
    seeds = np.array([5, 900, 2, 77, 5, 123456789, 31, 8, 9])
    batch = generate(seeds, split, size)
    reordered = generate(seeds[::-1], split, size)
    for row in (0, 3, 5, 8):
        alone = generate([int(seeds[row])], split, size)
        for name in MAPS:
            assert np.array_equal(getattr(batch, name)[row], getattr(alone, name)[0])
            assert np.array_equal(getattr(batch, name)[row], getattr(reordered, name)[len(seeds) - 1 - row])
        for name, column in vars(batch.objects).items():
            assert np.array_equal(column[row], getattr(alone.objects, name)[0])
    assert np.array_equal(batch.images[0], batch.images[4])


def test_the_pictures_that_models_were_trained_on_have_not_changed() -> None:
    scenes = generate(np.arange(4), "train")
    expected = np.array(GOLDEN)
    assert np.abs(scenes.images.mean(axis=(1, 2)) - expected).max() < 0.5
    assert [[SHAPES[k] for k in row if k >= 0] for row in scenes.objects.shape] == GOLDEN_SHAPES


def test_shapes_types_and_ranges(many: Scenes) -> None:
    count = len(many)
    assert many.images.shape == (count, 96, 96, 3) and many.images.dtype == np.uint8
    for name, kind in (("depth", np.float32), ("instance", np.uint8), ("classes", np.uint8)):
        assert getattr(many, name).shape == (count, 96, 96)
        assert getattr(many, name).dtype == kind
    assert many.depth.min() >= 0 and many.depth.max() <= 1
    assert many.classes.max() < len(CLASSES)
    assert set(np.unique(many.objects.present.sum(axis=1))) == {1, 2, 3, 4}
    odd = generate([3], size=33)
    assert odd.images.shape == (1, 33, 33, 3)


def test_maps_agree_with_each_other_and_with_the_objects(many: Scenes) -> None:
    objects = many.objects
    first = CLASSES.index(SHAPES[0])
    for i in range(200):
        shown = set(np.unique(many.instance[i])) - {0}
        assert shown == {place + 1 for place in np.flatnonzero(objects.present[i])}
        background = many.instance[i] == 0
        assert many.classes[i][background].max(initial=0) < first
        for place in np.flatnonzero(objects.present[i]):
            mine = many.instance[i] == place + 1
            assert (many.classes[i][mine] == objects.shape[i, place] + first).all()
            assert np.abs(many.depth[i][mine] - objects.depth[i, place]).max() <= 0.021
            assert many.depth[i][background].min() > objects.depth[i, place]
            rows, columns = np.nonzero(mine)
            reach = 1.15 * objects.radius[i, place] * 96 + 1
            assert np.abs(columns + 0.5 - objects.x[i, place] * 96).max() <= reach
            assert np.abs(rows + 0.5 - objects.y[i, place] * 96).max() <= reach


def test_an_object_lies_where_its_colour_is(many: Scenes) -> None:
    """A plain saturated object's pixels, well inside its mask, have their own colour's strongest channel."""
    strongest = {"red": 0, "green": 1, "blue": 2}
    objects = many.objects
    checked = 0
    for i, place in np.argwhere(objects.present & (objects.texture == 0) & (objects.digit < 0)):
        name = COLOURS[objects.colour[i, place]]
        if name in strongest:
            inside = many.images[i][many.instance[i] == place + 1].astype(float)
            assert np.median(inside, axis=0).argmax() == strongest[name]
            checked += 1
    assert checked > 40


def test_every_object_stays_visible_and_covering_is_what_hides(many: Scenes) -> None:
    objects = many.objects
    assert LEAST_VISIBLE >= 0.55
    assert objects.visible[objects.present].min() >= LEAST_VISIBLE
    hidden = objects.present & (objects.visible < 1)
    assert np.array_equal(objects.covers.any(axis=1), hidden)
    for i, near, far in np.argwhere(objects.covers):
        assert objects.depth[i, near] < objects.depth[i, far]
    assert 0.4 < objects.covers.any(axis=(1, 2)).mean() < 0.8


def test_depth_does_not_follow_from_height() -> None:
    objects = generate(np.arange(2000), "validation").objects
    mine = objects.present
    assert abs(np.corrcoef(objects.depth[mine], objects.y[mine])[0, 1]) < 0.05
    assert abs(np.corrcoef(objects.depth[mine], objects.x[mine])[0, 1]) < 0.05
    both = mine[:, :, None] & mine[:, None]
    lower = (objects.y[:, :, None] > objects.y[:, None])[both]
    nearer = (objects.depth[:, :, None] < objects.depth[:, None])[both]
    different = (objects.y[:, :, None] != objects.y[:, None])[both]
    assert abs((lower == nearer)[different].mean() - 0.5) < 0.03


def test_depth_can_be_seen(many: Scenes) -> None:
    """Farther objects of one size word are smaller, and the words' sizes do not overlap."""
    objects = many.objects
    small = objects.present & (objects.size == SIZES.index("small"))
    large = objects.present & (objects.size == SIZES.index("large"))
    assert objects.radius[small].max() < objects.radius[large].min() * 0.9
    for mine in (small, large):
        assert np.corrcoef(objects.radius[mine], objects.depth[mine])[0, 1] < -0.99
    yellow = objects.present & (objects.colour == COLOURS.index("yellow")) & (objects.texture == 0)
    saturation, depth = [], []
    for i, place in np.argwhere(yellow & (objects.digit < 0)):
        inside = np.median(many.images[i][many.instance[i] == place + 1].astype(float), axis=0)
        saturation.append((inside.max() - inside.min()) / inside.max())
        depth.append(objects.depth[i, place])
    assert len(depth) > 10
    assert np.corrcoef(saturation, depth)[0, 1] < -0.8


def test_shapes_differ_within_a_scene(many: Scenes) -> None:
    for shapes, present in zip(many.objects.shape, many.objects.present, strict=True):
        assert len(set(shapes[present])) == present.sum()


def test_digits_are_big_and_bare(many: Scenes) -> None:
    from sklearn.datasets import load_digits

    objects = many.objects
    bears = objects.digit >= 0
    assert 0.4 < bears.any(axis=1).mean() < 0.55
    assert set(SHAPES[k] for k in objects.shape[bears]) == set(DIGIT_HOLDERS)
    assert (objects.texture[bears] == TEXTURES.index("plain")).all()
    assert (objects.size[bears] == SIZES.index("large")).all()
    assert set(objects.digit[bears]) == set(range(10))
    target = load_digits().target
    assert (target[objects.digit_source[bears]] == objects.digit[bears]).all()
    assert (objects.digit_source[~bears] == -1).all()


def test_a_digit_is_the_ink_of_its_source(many: Scenes) -> None:
    """Reading the drawn digit back at 8x8 finds it closer to its source than to other images of the pool."""
    from PIL import Image
    from sklearn.datasets import load_digits

    images = load_digits().images
    objects = many.objects
    pool = np.concatenate(digit_pool("train"))
    found = []
    circles = objects.present & (objects.digit >= 0) & (objects.shape == SHAPES.index("circle"))
    for i, place in np.argwhere(circles)[:40]:
        x, y = objects.x[i, place] * 96, objects.y[i, place] * 96
        half = 0.62 * objects.radius[i, place] * 96
        box = (x - half, y - half, x + half, y + half)
        grey = Image.fromarray(many.images[i]).convert("L")
        patch = np.asarray(grey.resize((8, 8), Image.Resampling.BILINEAR, box=box), float)
        scores = [abs(np.corrcoef(patch.ravel(), images[k].ravel())[0, 1]) for k in pool]
        rank = (
            np.array(scores) > scores[int(np.flatnonzero(pool == objects.digit_source[i, place])[0])]
        ).sum()
        found.append(rank)
    assert np.median(found) <= 2


def test_splits_share_no_digit_image() -> None:
    pools = {split: set(np.concatenate(digit_pool(split))) for split in SPLITS}
    assert not pools["train"] & pools["validation"]
    assert not pools["train"] & pools["test"]
    assert not pools["validation"] & pools["test"]
    assert sum(map(len, pools.values())) == 1797
    for split in SPLITS:
        assert all(len(pool) > 10 for pool in digit_pool(split))
        objects = generate(np.arange(100), split).objects
        assert set(objects.digit_source[objects.digit >= 0]) <= pools[split]


def test_splits_share_no_scene() -> None:
    first, second, third = (generate(np.arange(20), split).images for split in SPLITS)
    for one, other in ((first, second), (first, third), (second, third)):
        assert not (one == other).all(axis=(1, 2, 3)).any()


def test_held_out_pairs_are_seen_in_the_test_split_only(many: Scenes) -> None:
    held_out = set(HELD_OUT_PAIRS)
    assert len(held_out) == len(SHAPES) == len(COLOURS)
    assert not pairs_shown(many) & held_out
    assert not pairs_shown(generate(np.arange(300), "validation")) & held_out
    test = generate(np.arange(300), "test")
    assert pairs_shown(test) >= held_out
    objects = test.objects
    hold = np.array([[(colour, shape) in held_out for shape in SHAPES] for colour in COLOURS])
    share = (hold[objects.colour, objects.shape] & objects.present).any(axis=1).mean()
    assert 0.3 < share < 0.65
    # Everything else is met in training.
    assert len(pairs_shown(many)) == len(SHAPES) * len(COLOURS) - len(held_out)


def test_backgrounds_vary_in_kind_and_depth(many: Scenes) -> None:
    kinds = [set(np.unique(classes)) for classes in many.classes]
    wall, ground = CLASSES.index("wall"), CLASSES.index("ground")
    assert 0.35 < np.mean([wall in kind for kind in kinds]) < 0.65
    assert 0.35 < np.mean([ground in kind for kind in kinds]) < 0.65
    behind = np.array(
        [depth[instance == 0].mean() for depth, instance in zip(many.depth, many.instance, strict=True)]
    )
    assert behind.std() > 0.02 and behind.min() > 0.75


def test_a_small_linear_code_keeps_the_picture() -> None:
    """Sixteen principal directions of 8x8 patches reach 28 dB: the autoencoder is not asked for noise."""

    def patches(split: Split) -> NDArray[np.float32]:
        images = generate(np.arange(200), split).images.astype(np.float32) / np.float32(255)
        return images.reshape(-1, 12, 8, 12, 8, 3).transpose(0, 1, 3, 2, 4, 5).reshape(-1, 192)

    train, test = patches("train"), patches("validation")
    mean = train.mean(axis=0)
    basis = np.linalg.eigh(np.cov((train - mean).T))[1][:, -16:]
    error = np.square(mean + (test - mean) @ basis @ basis.T - test)
    assert -10 * np.log10(error.mean()) >= 28


@pytest.mark.parametrize("name", SHAPES)
def test_outlines_are_distances_near_the_edge(name: str) -> None:
    axis = np.linspace(-1.3, 1.3, 261, dtype=np.float32)
    signed = OUTLINES[name](axis[None, :] + 0 * axis[:, None], axis[:, None] + 0 * axis[None, :])
    assert signed.dtype == np.float32
    slope = np.hypot(*np.gradient(signed, axis, axis))
    near = np.abs(signed) < 0.03
    assert np.median(slope[near]) == pytest.approx(1, abs=0.05)
    rows, columns = np.nonzero(signed < 0)
    assert np.abs(axis[rows]).max() <= 1.12 and np.abs(axis[columns]).max() <= 1.12
    assert 0.9 < (signed < 0).sum() * 0.01**2 < 3.2


@pytest.mark.parametrize(
    ("seeds", "split", "size", "says"),
    [
        ([1], "dev", 96, "train, validation or test"),
        ([], "train", 96, "at least one seed"),
        ([-1], "train", 96, "zero or more"),
        ([1], "train", 16, "32 or more"),
    ],
)
def test_refusals_say_what_to_do(seeds: list[int], split: Split, size: int, says: str) -> None:
    with pytest.raises(Refusal, match=says):
        generate(seeds, split, size)
