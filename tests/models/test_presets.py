"""Documented sampling parameters: what the sources say, and that every surface can show it."""

from __future__ import annotations

import pytest

from workbench.errors import Refusal
from workbench.models.bagel.flow import time_grid
from workbench.models.presets import PRESETS, preset
from workbench.models.protocol import Sampling
from workbench.panels.states.config import StatesConfig


@pytest.mark.parametrize(
    ("name", "points", "text", "image", "renorm", "route", "tokens"),
    [
        ("clear-demo", 30, 4.0, 2.0, "global", "re-encode", 4096),
        ("clear-evaluation", 50, 3.0, 1.5, "text_channel", "bridge", 8192),
    ],
)
def test_clears_are_those_of_its_public_code(
    name: str, points: int, text: float, image: float, renorm: str, route: str, tokens: int
) -> None:
    found = preset(name).sampling
    assert len(time_grid(found.steps + 1, found.shift)) == points
    assert (found.text_scale, found.image_scale, found.renorm, found.route) == (text, image, renorm, route)
    assert (found.interval, found.shift, found.renorm_min) == ((0.4, 1.0), 3.0, 0.0)
    assert (found.restore, found.max_new_tokens) == ("auto", tokens)


def test_the_embedded_models_is_what_stands_there_unasked() -> None:
    assert preset("pocket-bagel").sampling == Sampling() == StatesConfig().sampling()


@pytest.mark.parametrize("each", PRESETS, ids=lambda each: each.name)
def test_each_fills_a_study(each: object) -> None:
    assert isinstance(each, type(PRESETS[0]))
    assert "seed" not in each.parameters() and each.label and each.source
    assert StatesConfig(**each.parameters(), seed=7).sampling().seed == 7
    assert StatesConfig(**each.parameters()).sampling() == each.sampling


def test_one_that_is_none() -> None:
    with pytest.raises(Refusal, match="clear-demo, clear-evaluation"):
        preset("clear")
