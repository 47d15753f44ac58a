"""The probe set says what its pictures show."""

from __future__ import annotations

import numpy as np

from workbench.datasets.batches import Batch, batches
from workbench.datasets.collection import Sample, Split
from workbench.datasets.scenes import FIRST_SEED, TARGETS, DrawnScenes, labelled
from workbench.images.scenes import CLASSES, SHAPES, generate


def grid(side: int, size: int = 96) -> np.ndarray:
    edge = np.arange(side) * size / side
    y, x = (a.ravel() for a in np.meshgrid(edge, edge, indexing="ij"))
    return np.stack([x, y, x + size / side, y + size / side], axis=1)


def read(split: Split, start: int, stop: int) -> list[Sample]:
    return [each for each in DrawnScenes().read(split, start, stop) if isinstance(each, Sample)]


def one_batch(samples: list[Sample]) -> Batch:
    return batches(samples, len(samples), len(CLASSES))[0]


def test_scenes_are_the_same_wherever_reading_begins() -> None:
    whole, later = read("test", 0, 70), read("test", 66, 70)
    assert len(whole) == 70 and [s.name for s in later] == [s.name for s in whole[66:]]
    for a, b in zip(later, whole[66:], strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)
        np.testing.assert_array_equal(a.regions, b.regions)
        assert a.asked == b.asked and a.seed == b.seed
    assert whole[0].seed == FIRST_SEED
    assert not np.array_equal(whole[0].pixels, read("train", 0, 1)[0].pixels)


def test_targets_are_those_of_the_nearest_object() -> None:
    scenes = generate(np.arange(40), "test")
    for i in range(40):
        found = labelled(scenes, i)
        present = [k for k in range(scenes.objects.present.shape[1]) if scenes.objects.present[i, k]]
        nearest = min(present, key=lambda k: scenes.objects.depth[i, k])
        assert found.labels["shape"] == scenes.objects.shape[i, nearest]
        assert found.labels["colour"] == scenes.objects.colour[i, nearest]
        assert TARGETS["count"][found.labels["count"]] == str(len(present))
        assert all(0 <= found.labels[name] < len(values) for name, values in TARGETS.items())


def test_every_object_and_background_is_a_region_of_its_own() -> None:
    scenes = generate(np.arange(30), "train")
    for i in range(30):
        regions = labelled(scenes, i).regions
        assert regions is not None
        for region in np.unique(regions):
            here = regions == region
            assert len(np.unique(scenes.classes[i][here])) == 1
            assert len(np.unique(scenes.instance[i][here])) == 1
        kinds = len(np.unique(scenes.classes[i][scenes.instance[i] == 0]))
        assert len(np.unique(regions)) == kinds + len(np.unique(scenes.instance[i])) - 1


def test_patch_labels_follow_the_purity_rule() -> None:
    found = one_batch(read("test", 0, 10))
    boxes = grid(12)
    loose, strict = found.patch_classes(boxes, 0.5), found.patch_classes(boxes, 1.0)
    assert loose is not None and strict is not None and loose.shape == (10, 144)
    assert (strict == -1).sum() > (loose == -1).sum()
    pixels = np.stack([s.classes for s in found.samples if s.classes is not None])
    cells = pixels.reshape(10, 12, 8, 12, 8).transpose(0, 1, 3, 2, 4).reshape(10, 144, 64)
    pure = (cells == cells[..., :1]).all(axis=2)
    np.testing.assert_array_equal(strict, np.where(pure, cells[..., 0].astype(int), -1))
    assert {CLASSES[k] for k in np.unique(loose) if k >= 0} & set(SHAPES)
    regions = found.patch_regions(boxes, 0.5)
    assert regions is not None and regions.max() >= len(CLASSES)


def test_questions_come_with_their_answers() -> None:
    for sample in read("test", 0, 10):
        assert len(sample.asked) >= 4
        assert all(asked.answer in asked.candidates and asked.text.endswith("?") for asked in sample.asked)
