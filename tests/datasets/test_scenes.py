"""The probe set says what its pictures show."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.datasets.scenes import FIRST_SEED, TARGETS, Batch, label, stream
from workbench.errors import Refusal
from workbench.images.scenes import CLASSES, SHAPES, generate


def grid(side: int, size: int = 96) -> np.ndarray:
    edge = np.arange(side) * size / side
    y, x = (a.ravel() for a in np.meshgrid(edge, edge, indexing="ij"))
    return np.stack([x, y, x + size / side, y + size / side], axis=1)


def collected(split: str, count: int, batch: int) -> list[Batch]:
    return list(stream(split, count, batch=batch))  # type: ignore[arg-type]


def test_the_stream_is_the_same_whatever_the_batch() -> None:
    ones, whole = collected("test", 7, 3), collected("test", 7, 7)
    assert [len(b) for b in ones] == [3, 3, 1]
    for field in ("images", "classes", "regions", "seeds"):
        np.testing.assert_array_equal(
            np.concatenate([getattr(b, field) for b in ones]), getattr(whole[0], field)
        )
    assert whole[0].seeds[0] == FIRST_SEED
    assert not np.array_equal(whole[0].images, collected("train", 7, 7)[0].images)


def test_targets_are_those_of_the_nearest_object() -> None:
    scenes = generate(np.arange(40), "test")
    found = label(scenes)
    for i in range(40):
        present = [k for k in range(scenes.objects.present.shape[1]) if scenes.objects.present[i, k]]
        nearest = min(present, key=lambda k: scenes.objects.depth[i, k])
        assert found.targets["shape"][i] == scenes.objects.shape[i, nearest]
        assert found.targets["colour"][i] == scenes.objects.colour[i, nearest]
        assert TARGETS["count"][found.targets["count"][i]] == str(len(present))
    for name, values in TARGETS.items():
        assert 0 <= found.targets[name].min() and found.targets[name].max() < len(values)


def test_every_object_and_background_is_a_region_of_its_own() -> None:
    scenes = generate(np.arange(30), "train")
    found = label(scenes)
    for i in range(30):
        for region in np.unique(found.regions[i]):
            here = found.regions[i] == region
            assert len(np.unique(scenes.classes[i][here])) == 1
            assert len(np.unique(scenes.instance[i][here])) == 1
        kinds = len(np.unique(scenes.classes[i][scenes.instance[i] == 0]))
        assert len(np.unique(found.regions[i])) == kinds + len(np.unique(scenes.instance[i])) - 1


def test_patch_labels_follow_the_purity_rule() -> None:
    found = collected("test", 10, 10)[0]
    boxes = grid(12)
    loose, strict = found.patch_classes(boxes, 0.5), found.patch_classes(boxes, 1.0)
    assert loose.shape == (10, 144)
    assert (strict == -1).sum() > (loose == -1).sum()
    cells = found.classes.reshape(10, 12, 8, 12, 8).transpose(0, 1, 3, 2, 4).reshape(10, 144, 64)
    pure = (cells == cells[..., :1]).all(axis=2)
    np.testing.assert_array_equal(strict, np.where(pure, cells[..., 0].astype(int), -1))
    named = {CLASSES[k] for k in np.unique(loose) if k >= 0}
    assert named & set(SHAPES)
    assert found.patch_regions(boxes, 0.5).max() >= len(CLASSES)


def test_nothing_is_refused_in_words() -> None:
    with pytest.raises(Refusal):
        next(stream("test", 0))
