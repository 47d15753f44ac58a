"""The average gain of drawing is read from measurements of these very weights, or not said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.card import CARD
from workbench.page.expected import gain


def rate(mean: float, low: float, high: float) -> dict[str, float]:
    return {"mean": mean, "low": low, "high": high, "n": 400}


RESTORED = {
    "gaussian_noise high": {
        "re-encode gain": rate(0.12, 0.08, 0.16),
        "re-encode gain in context": rate(0.01, -0.01, 0.03),
        "bridge gain": rate(0.0, -0.02, 0.02),
    },
    "gaussian_noise low": {"re-encode gain": rate(-0.035, -0.06, -0.01)},
    "clean": {"re-encode gain": rate(-0.1, -0.12, -0.08)},
}


def look(**changed: Any) -> dict[str, Any]:
    drawn = {"restore": "auto", "steps": 12, "shift": 3.0, "text_scale": 1.0, "image_scale": 1.0}
    return {"corruption": "gaussian_noise", "intensity": 0.92, "route": "re-encode"} | drawn | changed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = {"revision": CARD.revision, "restored": RESTORED}
    (tmp_path / "measured.json").write_text(json.dumps(found))
    return tmp_path


def test_a_measured_level_is_told_with_its_interval(folder: Path) -> None:
    card = replace(CARD, folder=folder)
    high = gain(card, look())
    assert "400 test scenes" in high and "at 0.90" in high
    assert "+12.0 points (95 % interval +8.0 to +16.0): drawing helps here" in high
    assert "same context without drawing: +1.0 points" in high
    low = gain(card, look(intensity=0.23))
    assert "−3.5 points" in low and "at 0.23" in low and "drawing hurts here" in low
    assert "no difference can be told" in gain(card, look(route="bridge"))
    assert "without any corruption" in gain(card, look(corruption="none"))
    assert "without any corruption" in gain(card, look(intensity=0.0))


def test_between_measured_levels_both_are_told_and_no_verdict(folder: Path) -> None:
    said = gain(replace(CARD, folder=folder), look(intensity=0.1))
    assert "Not measured at 0.10" in said and "here" not in said
    assert "−10.0 points (95 % interval −12.0 to −8.0) without any corruption and −3.5 points" in said
    beyond = gain(replace(CARD, folder=folder), look(intensity=1.0))
    assert "Not measured at 1.00" in beyond and "+12.0 points" in beyond and " and " not in beyond[30:]


def test_what_was_not_measured_is_not_said(folder: Path) -> None:
    card = replace(CARD, folder=folder)
    assert gain(card, look(route="both")) == ""
    assert (
        gain(card, look(restore="never"))
        == gain(card, look(steps=1))
        == gain(card, look(text_scale=4.0))
        == ""
    )
    assert gain(card, look(corruption="dark_illumination")) == ""
    assert gain(card, look(intensity=0.45)) == ""
    assert gain(replace(card, revision="f" * 12), look()) == ""
    assert gain(CARD, look()) == ""
    for damaged in ("", "[]", '{"revision": "000000000000"}', '{"revision": "000000000000", "restored": 3}'):
        (folder / "measured.json").write_text(damaged)
        assert gain(card, look()) == ""
