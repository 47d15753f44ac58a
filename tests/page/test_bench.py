"""Laying a specimen on the bench, by its handlers."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from workbench.app import Page
from workbench.errors import Refusal
from workbench.images.fit import LONGEST
from workbench.page import shelf
from workbench.page.bench import PLAIN
from workbench.page.session import Session

FIRST = f"{shelf.SAMPLE}0"


def laid(page: Page, request_: Any, path: Path, question: str = "") -> dict[Any, Any]:
    found: dict[Any, Any] = page.bench.lay_file(str(path), FIRST, question, request_)
    return found


def test_a_photograph_is_laid_down_fitted_and_said_to_be(
    page: Page, request_: Any, session: Session, tmp_path: Path
) -> None:
    path = tmp_path / "wide.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (700, 2100, 3), dtype=np.uint8)).save(path)
    updates = laid(page, request_, path)
    found = shelf.load(session, updates[page.bench.specimen])
    assert max(found.picture.pixels.shape) == LONGEST
    assert any("2100" in note for note in found.picture.notes)
    assert not found.is_scene
    assert updates[page.bench.upload] is None


def test_the_kept_picture_is_the_picture(
    page: Page, request_: Any, session: Session, photograph: Path
) -> None:
    updates = laid(page, request_, photograph)
    found = shelf.load(session, updates[page.bench.specimen])
    with Image.open(photograph) as image:
        assert np.array_equal(found.picture.pixels, np.asarray(image))
    again = shelf.load(session, updates[page.bench.specimen])
    assert again.picture.sha256 == found.picture.sha256


@pytest.mark.parametrize("content", [b"", b"not an image at all", b"\x89PNG\r\n\x1a\n\x00\x00"])
def test_what_is_no_image_is_a_sentence_and_the_last_image_stays(
    page: Page, request_: Any, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    updates = laid(page, request_, path)
    assert page.bench.specimen not in updates
    assert 'role="alert"' in updates[page.bench.notice] and "bad.png" in updates[page.bench.notice]
    assert updates[page.bench.upload] is None


def test_a_question_of_ones_own_stays_and_a_scenes_goes_with_its_scene(page: Page, request_: Any) -> None:
    bench = page.bench
    picked: Any = SimpleNamespace(index=2)
    asked = shelf.sample(0).question
    assert bench.lay_sample(FIRST, asked, request_, picked)[bench.question] == shelf.sample(2).question
    assert bench.lay_sample(FIRST, " ", request_, picked)[bench.question] == shelf.sample(2).question
    assert bench.question not in bench.lay_sample(FIRST, "is there a moon?", request_, picked)


def test_a_photograph_is_not_asked_what_a_scene_was(page: Page, request_: Any, photograph: Path) -> None:
    bench, asked = page.bench, shelf.sample(0).question
    for question in (asked, "", f" {asked} "):
        assert laid(page, request_, photograph, question)[bench.question] == PLAIN
    updates = laid(page, request_, photograph, "who is this?")
    assert bench.question not in updates, "one's own stays"
    photo = updates[bench.specimen]
    assert bench.lay_file(str(photograph), photo, PLAIN, request_)[bench.question] == PLAIN
    picked: Any = SimpleNamespace(index=2)
    assert bench.lay_sample(photo, PLAIN, request_, picked)[bench.question] == shelf.sample(2).question
    assert bench.lay_scene(photo, "", request_)[bench.question] != PLAIN


def test_a_new_scene_brings_question_and_true_answer(page: Page, request_: Any, session: Session) -> None:
    updates = page.bench.lay_scene(FIRST, "", request_)
    found = shelf.load(session, updates[page.bench.specimen])
    assert found.is_scene and found.truth
    bench, specimen = page.bench, updates[page.bench.specimen]
    assert found.truth in bench.show_truth(specimen, found.question, request_)[bench.truth]
    assert bench.show_truth(specimen, "something else", request_)[bench.truth] == ""


def test_a_picture_of_another_session_cannot_be_named(page: Page, request_: Any, photograph: Path) -> None:
    updates = laid(page, request_, photograph)
    other = page.bench.session(SimpleNamespace(session_hash="other"))  # type: ignore[arg-type]
    for name in (updates[page.bench.specimen], "../../etc/passwd", ""):
        with pytest.raises(Refusal, match="no longer kept"):
            shelf.load(other, name)


def test_where_the_picture_is_gone_it_can_be_laid_down_again(
    page: Page, request_: Any, photograph: Path
) -> None:
    bench, gone = page.bench, "f" * 16
    for updates in (
        bench.show_picture(gone, "none", 0.5, 0, request_),
        bench.show_truth(gone, "what is this?", request_),
        bench.show_outside(gone, page.models.first, request_),
    ):
        (said,) = updates.values()
        assert "no longer kept" in said and list(updates) == [bench.notice]
    picked: Any = SimpleNamespace(index=1)
    for updates in (
        bench.lay_file(str(photograph), gone, "my own?", request_),
        bench.lay_sample(gone, "my own?", request_, picked),
        bench.lay_scene(gone, "my own?", request_),
    ):
        assert updates[bench.specimen] != gone and updates[bench.notice] == ""
        assert bench.question not in updates


def test_a_full_disk_is_a_sentence_on_the_bench(
    page: Page, request_: Any, session: Session, photograph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    for updates in (
        page.bench.lay_file(str(photograph), FIRST, "", request_),
        page.bench.lay_scene(FIRST, "", request_),
    ):
        assert "disk space" in updates[page.bench.notice] and page.bench.specimen not in updates


def test_the_samples_are_what_their_source_says() -> None:
    from workbench.panels.specimen import find

    for number in range(len(shelf.samples())):
        kept = shelf.sample(number)
        drawn = find(kept.source)
        assert np.array_equal(kept.picture.pixels, drawn.picture.pixels), "run assets/samples/make.py again"
        assert (kept.question, kept.truth) == (drawn.question, drawn.truth)


def test_a_seed_that_is_none_is_told_until_it_is_one(page: Page, request_: Any) -> None:
    bench = page.bench
    refused = bench.show_picture(FIRST, "none", 0.5, -5, request_)
    assert "whole number from 0" in refused[bench.notice] and bench.picture not in refused
    mended = bench.show_picture(FIRST, "none", 0.5, 5, request_)
    assert mended[bench.notice] == "" and bench.picture in mended
