"""Pictures reach the page unharmed, and words as words."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from workbench.page import markup


def decoded(html: str) -> np.ndarray:
    found = re.search(r"base64,([^\"]+)", html)
    assert found
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found.group(1)))))


def test_a_small_picture_keeps_every_pixel_and_is_shown_at_a_whole_multiple() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (96, 64, 3), dtype=np.uint8)
    html = markup.image(pixels, "a picture", 192)
    assert np.array_equal(decoded(html), pixels)
    assert 'width="128" height="192"' in html
    assert 'class="whole"' in html


def test_a_large_picture_is_reduced_to_its_box_and_not_marked_as_whole() -> None:
    html = markup.image(np.zeros((300, 1000, 3), np.uint8), "a picture", 192)
    assert 'width="192" height="58"' in html
    assert decoded(html).shape == (115, 384, 3)
    assert "whole" not in html


@pytest.mark.parametrize(("side", "expected"), [(96, 384), (100, 300), (384, 384), (800, 384)])
def test_enlarging_uses_whole_factors_only(side: int, expected: int) -> None:
    assert markup.enlarged(np.zeros((side, side, 3), np.uint8), 384).shape == (expected, expected, 3)


def test_text_from_a_person_or_a_model_is_never_markup() -> None:
    bad = "<script>alert(1)</script>\"'&"
    pixels = np.zeros((2, 2, 3), np.uint8)
    for html in (
        markup.notice(bad),
        markup.status(bad),
        markup.table([(bad, bad, bad)], now=0, remark=bad),
        markup.figure(bad, bad, pixels),
        markup.figure(bad, bad, None, empty=bad),
        markup.strip(bad, [], [bad]),
        markup.heading(bad, bad),
        markup.remark(bad),
    ):
        assert "<script" not in html
        assert "&lt;script" in html


def test_progress_says_how_far_and_how_long_only_where_it_is_worth_saying() -> None:
    assert "progressbar" not in markup.status("thinking")
    assert 'aria-valuenow="50"' in markup.status("denoising", 0.5)
    assert "left" not in markup.status("denoising", 0.5, 1.5)
    assert "40 s left" in markup.status("denoising", 0.5, 40)
    assert "3 min left" in markup.status("denoising", 0.5, 180)


def test_an_error_is_an_alert_and_a_remark_is_not() -> None:
    assert 'role="alert"' in markup.notice("It failed.")
    assert 'role="note"' in markup.notice("Know this.", plain=True)
    assert markup.notice("") == ""
