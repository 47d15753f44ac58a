"""What the model card is measured with, held against the model as a person uses it."""

from __future__ import annotations

import numpy as np
import pytest

from workbench import models
from workbench.images.scene_language import questions
from workbench.images.scenes import Scenes, generate
from workbench.models.bagel.adapter import BagelModel
from workbench.models.protocol import Final, Sampling, Thought, VisualState
from workbench.training import measure


@pytest.fixture(scope="module")
def model() -> BagelModel:
    opened = models.open("pocket-bagel")
    assert isinstance(opened, BagelModel)
    return opened


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return generate(np.arange(3), "test")


def test_direct_answers_are_those_of_answer(model: BagelModel, scenes: Scenes) -> None:
    asked = [questions(scenes, i, np.random.default_rng(i)) for i in range(len(scenes))]
    flags = measure.direct_answers(measure.kit_of(model), scenes.images, asked)
    for i, row in enumerate(asked):
        said = [model.answer(model.prepare([scenes.images[i]], q.text))[0].text for q in row]
        assert flags[i] == [text == q.answer for text, q in zip(said, row, strict=True)]


@pytest.mark.parametrize("route", ["bridge", "re-encode"])
def test_batched_restoration_is_that_of_respond(model: BagelModel, scenes: Scenes, route: str) -> None:
    images = measure.damaged(scenes.images, "gaussian_noise", 0.6)
    asked = [questions(scenes, i, np.random.default_rng(i))[0] for i in range(len(scenes))]
    batch = measure.restore(measure.kit_of(model), images, asked, seed=5)
    right = batch.bridge if route == "bridge" else batch.reencode
    for i, question in enumerate(asked):
        settings = Sampling(steps=measure.STEPS, shift=measure.SHIFT, seed=5, restore="always", route=route)
        events = list(model.respond(images[i], question.text, settings))
        drawn = [event for event in events if isinstance(event, VisualState)][-1].image
        assert np.abs(drawn.astype(int) - batch.images[i].astype(int)).max() <= 2
        thoughts = [event.text for event in events if isinstance(event, Thought)]
        assert thoughts[0].startswith("<think>")
        final = events[-1]
        assert isinstance(final, Final)
        assert (final.answer.text == question.answer) == bool(right[i])


def test_rate_resamples_whole_groups() -> None:
    values = np.repeat([0.0, 1.0] * 20, 25)
    alone = measure.rate(values)
    together = measure.rate(values, np.repeat(np.arange(40), 25))
    assert alone.mean == together.mean == 0.5
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_psnr_of_a_known_error() -> None:
    image = np.full((1, 4, 4, 3), 100, np.uint8)
    assert measure.psnr(image, image + 10)[0] == pytest.approx(20 * np.log10(255 / 10))
