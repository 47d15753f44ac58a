"""What a batch of training shows: text rows, windows, seeds and mild damage."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from workbench.images.scenes import MOST_OBJECTS, Scenes, generate
from workbench.models.bagel.network import SpecialTokens
from workbench.training.base import SCHEDULES
from workbench.training.data import (
    TextPacker,
    TextRows,
    batch_seeds,
    digits_first,
    glimpses,
    mildly_corrupted,
)

WINDOW, PATCH = 48, 8


class Letters:
    """A tokenizer whose ids are 10 for a, 11 for b, and so on."""

    def encode(self, text: str) -> SimpleNamespace:
        return SimpleNamespace(ids=[ord(letter) - ord("a") + 10 for letter in text])


@pytest.fixture
def packer() -> TextPacker:
    return TextPacker(Letters(), SpecialTokens(bos=0, eos=1, image_start=2, image_end=3))


@pytest.fixture
def rows(packer: TextPacker) -> TextRows:
    return packer.rows([[("a", "bc"), ("", "d")], [("", "ab")]], start=[5, 2])


def test_text_rows_by_hand(rows: TextRows) -> None:
    """Questions have no targets, an answer's are its next tokens, segments start at the same position."""
    assert rows.ids.tolist() == [[0, 10, 1, 0, 11, 12, 1, 0, 13, 1], [0, 10, 11, 1, 1, 1, 1, 1, 1, 1]]
    no = -100
    assert rows.targets.tolist() == [
        [no, no, no, 11, 12, 1, no, 13, 1, no],
        [10, 11, 1, no, no, no, no, no, no, no],
    ]
    assert rows.segments.tolist() == [[0] * 7 + [1] * 3, [0] * 4 + [-1] * 6]
    assert rows.positions[0].tolist() == [5, 6, 7, 8, 9, 10, 11, 5, 6, 7]
    assert rows.positions[1, :4].tolist() == [2, 3, 4, 5]
    assert rows.valid.tolist() == [[True] * 10, [True] * 4 + [False] * 6]
    assert rows.ends == [12, 6]


def test_one_start_holds_for_all_rows(packer: TextPacker) -> None:
    assert packer.rows([[("", "a")], [("", "b")]], start=4).positions.tolist() == [[4, 5, 6]] * 2


def test_rows_without_a_start_are_refused(packer: TextPacker) -> None:
    with pytest.raises(ValueError):
        packer.rows([[("", "a")], [("", "b")]], start=[4])


def test_silenced_rows_lose_their_targets_and_nothing_else(rows: TextRows) -> None:
    quiet = rows.silenced(np.array([True, False]))
    assert quiet.targets[0].eq(-100).all()
    assert quiet.targets[1].equal(rows.targets[1])
    assert quiet.ids.equal(rows.ids)
    assert quiet.segments.equal(rows.segments)
    assert quiet.has_targets
    assert not rows.silenced(np.array([True, True])).has_targets


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return generate(np.arange(40), "train")


def test_glimpses_show_one_whole_object_and_no_other(scenes: Scenes) -> None:
    """Each window, found again by its pixels, holds its object's whole part of the instance map alone."""
    found = glimpses(scenes, WINDOW, PATCH)
    assert found.images.shape[1:] == (WINDOW, WINDOW, 3)
    assert len(found.images) == len(found.scenes)
    assert (found.scenes.objects.present.sum(1) == 1).all()
    owners = found.scenes.objects.present.argmax(1)
    starts = range(0, scenes.images.shape[1] - WINDOW + 1, PATCH)
    for image, instance, window, owner in zip(
        found.scenes.images, found.scenes.instance, found.images, owners, strict=True
    ):
        places = [
            instance[top : top + WINDOW, left : left + WINDOW]
            for top in starts
            for left in starts
            if np.array_equal(image[top : top + WINDOW, left : left + WINDOW], window)
        ]
        assert len(places) == 1
        assert set(np.unique(places[0])) <= {0, owner + 1}
        assert (places[0] == owner + 1).sum() == (instance == owner + 1).sum() > 0


def test_some_objects_stand_too_close_for_a_glimpse(scenes: Scenes) -> None:
    """And none is shown twice."""
    found = glimpses(scenes, WINDOW, PATCH)
    shown = {
        (int(seed), int(owner))
        for seed, owner in zip(found.scenes.seeds, found.scenes.objects.present.argmax(1), strict=True)
    }
    assert len(shown) == len(found.images)
    assert 0 < len(shown) < scenes.objects.present.sum() <= MOST_OBJECTS * len(scenes)


def test_batches_follow_one_another_and_stages_never_meet() -> None:
    first, second = batch_seeds(0, 24, 2), batch_seeds(1, 24, 2)
    assert np.array_equal(np.concatenate([first, second]), first[0] + np.arange(48))
    # The teacher takes three scenes for each window.
    longest = max(3 * schedule.batch * schedule.steps for schedule in SCHEDULES.values())
    ranges = [(batch_seeds(0, longest, k)[0], batch_seeds(0, longest, k)[-1]) for k in range(5)]
    for (_, last), (begins, _) in zip(ranges, ranges[1:], strict=False):
        assert last < begins


def test_a_share_of_none_changes_nothing(scenes: Scenes) -> None:
    rng = np.random.default_rng(0)
    same = mildly_corrupted(scenes.images[:8], rng, 0.0, 1.0)
    assert np.array_equal(same, scenes.images[:8])
    assert not np.shares_memory(same, scenes.images)


def test_a_share_of_some_changes_those_alone(scenes: Scenes) -> None:
    """The same generator gives the same damage; the original stays as it was."""
    before = scenes.images.copy()
    once, again = (mildly_corrupted(scenes.images, np.random.default_rng(3), 0.5, 0.9) for _ in range(2))
    changed = (once != scenes.images).any((1, 2, 3))
    assert 0.2 < changed.mean() < 0.8
    assert np.array_equal(once, again)
    assert np.array_equal(scenes.images, before)


def test_scenes_with_a_digit_come_first() -> None:
    scenes = generate(np.arange(60), "train")
    carries = [any(scenes.objects.digit[i][scenes.objects.present[i]] >= 0) for i in range(len(scenes))]
    count = sum(carries) + 5
    assert 10 < sum(carries) < 50
    some = digits_first(scenes, count)
    order = [i for i in range(60) if carries[i]] + [i for i in range(60) if not carries[i]]
    assert some.seeds.tolist() == scenes.seeds[order[:count]].tolist()
    assert np.array_equal(some.images, scenes.images[order[:count]])
