"""Settings outside their limits are refused, whatever is given for a number."""

from __future__ import annotations

import math

import numpy as np
import pytest

from workbench.errors import Refusal
from workbench.models.protocol import Answer, Sampling, Token


@pytest.mark.parametrize("name", ["text_scale", "image_scale", "renorm_min", "shift"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.1, 21, "2", None])
def test_numbers_outside_their_limits(name: str, value: object) -> None:
    with pytest.raises(Refusal, match="must be a number between"):
        Sampling(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["steps", "seed", "max_new_tokens"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -1, 2**31, 2.5, "2", None])
def test_whole_numbers(name: str, value: object) -> None:
    with pytest.raises(Refusal, match=f"{name} must be a whole number between"):
        Sampling(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "interval", [(math.nan, 1.0), (0.0, math.nan), (0.8, 0.4), (-0.1, 1.0), (0.0, 1.1), (0.5,)]
)
def test_the_interval(interval: tuple[float, ...]) -> None:
    with pytest.raises(Refusal, match="guidance interval"):
        Sampling(interval=interval)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["renorm", "route", "restore"])
def test_choices(name: str) -> None:
    with pytest.raises(Refusal, match=f"{name} must be one of .*; it is 'perhaps'"):
        Sampling(**{name: "perhaps"})  # type: ignore[arg-type]


def test_the_limits_themselves_are_within() -> None:
    Sampling(steps=1, text_scale=0, image_scale=20, renorm_min=1, shift=0.1, seed=0, interval=(0, 0))
    Sampling(steps=np.int64(200), shift=np.float32(20), seed=2**31 - 1, interval=(1.0, 1.0))  # type: ignore[arg-type]


def test_an_answers_probability() -> None:
    answer = Answer("red dog", (Token("red", -0.5, 1), Token(" dog", -0.25, 2)), -0.75)
    assert answer.probability == pytest.approx(math.exp(-0.75))
