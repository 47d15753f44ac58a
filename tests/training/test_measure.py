"""What the model card is measured with, held against the model as a person uses it."""

from __future__ import annotations

import numpy as np
import pytest

from workbench import models
from workbench.images.corruptions import CORRUPTIONS, LEVELS, MMD_BENCH
from workbench.images.scene_language import questions
from workbench.images.scenes import Scenes, generate
from workbench.models.bagel.adapter import BagelModel
from workbench.models.protocol import Final, Sampling, Thought, VisualState
from workbench.training import measure
from workbench.training.card import card_text
from workbench.training.data import TRAINED_CORRUPTIONS
from workbench.training.drawing import DRAWN


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


@pytest.mark.parametrize("route", measure.ROUTES)
def test_batched_restoration_is_that_of_respond(model: BagelModel, scenes: Scenes, route: str) -> None:
    images = measure.damaged(scenes.images, "gaussian_noise", 0.6)
    asked = [questions(scenes, i, np.random.default_rng(i))[0] for i in range(len(scenes))]
    batch = measure.restore(model, images, asked, [5, 6, 7])
    for i, question in enumerate(asked):
        settings = Sampling(
            steps=measure.STEPS, shift=measure.SHIFT, seed=5 + i, restore="always", route=route
        )
        events = list(model.respond(images[i], question.text, settings))
        drawn = [event for event in events if isinstance(event, VisualState)][-1].image
        assert np.abs(drawn.astype(int) - batch.images[i].astype(int)).max() <= 2
        thoughts = [event.text for event in events if isinstance(event, Thought) and event.done]
        assert thoughts[0].startswith("<think>")
        final = events[-1]
        assert isinstance(final, Final)
        assert (final.answer.text == question.answer) == bool(batch.right[route][i])


def test_without_drawing_it_answers_as_respond_does(model: BagelModel, scenes: Scenes) -> None:
    images = measure.damaged(scenes.images, "gaussian_noise", 0.6)
    asked = [questions(scenes, i, np.random.default_rng(i))[0] for i in range(len(scenes))]
    batch = measure.restore(model, images, asked, [0] * len(asked))
    for i, question in enumerate(asked):
        final = list(model.respond(images[i], question.text, Sampling(restore="never")))[-1]
        assert isinstance(final, Final)
        assert (final.answer.text == question.answer) == bool(batch.right["same context"][i])


def test_a_seed_draws_a_row_wherever_it_stands(model: BagelModel, scenes: Scenes) -> None:
    asked = [questions(scenes, i, np.random.default_rng(i))[0] for i in range(len(scenes))]
    images = np.repeat(scenes.images[:1], 3, axis=0)
    drawn = measure.restore(model, images, [asked[0]] * 3, [4, 9, 4]).images.astype(int)
    alone = measure.restore(model, images[:1], asked[:1], [9]).images.astype(int)
    assert np.abs(drawn[0] - drawn[2]).max() <= 1 and np.abs(drawn[1] - alone[0]).max() <= 1
    assert np.abs(drawn[0] - drawn[1]).max() > 2


def test_rate_resamples_whole_groups() -> None:
    values = np.repeat([0.0, 1.0] * 20, 25)
    alone = measure.rate(values)
    together = measure.rate(values, np.repeat(np.arange(40), 25))
    assert alone.mean == together.mean == 0.5
    assert together.high - together.low > 3 * (alone.high - alone.low)


BAD = measure.Rate(0.1, 0.05, 0.2, 4)


def poor(change: float) -> measure.Measured:
    """Numbers of a model that fails everywhere, and whose drawings change answers by `change`."""
    numbers = {
        key: BAD
        for key in ("psnr degraded", "psnr restored", "without", "same context", "triggered", *measure.ROUTES)
    }
    moved = measure.Rate(change, change - 0.05, change + 0.05, 4)
    numbers |= {
        f"{route} {against}": moved for route in measure.ROUTES for against in ("gain", "gain in context")
    }
    levels = [f"{name} {level}" for name in MMD_BENCH for level in LEVELS]
    clean = {key: value for key, value in numbers.items() if key != "psnr degraded"}
    damaged = numbers | {"psnr gain": moved}
    return measure.Measured(
        clean={"all": BAD},
        chance={"all": 0.1},
        majority={"all": 0.1},
        captions={"object sets": BAD, "object F1": BAD},
        direct=dict.fromkeys(["clean", *levels], BAD),
        restored={"clean": clean} | dict.fromkeys(levels, damaged),
    )


def test_the_card_says_which_goals_were_missed(model: BagelModel) -> None:
    text = card_text(model, poor(-0.2), scenes=4, restored=2, captioned=6)
    assert text.count("**not reached**") == 5 and "**reached**" not in text
    assert "better answers by at least one route under none of these" in text
    assert "equal → 0.1" in text and "99" not in text.partition("## Restoration")[2]
    for name in MMD_BENCH:
        corruption = CORRUPTIONS[name]
        assert (f"| {corruption.label} * |" in text) == (name not in {*TRAINED_CORRUPTIONS, *DRAWN})
        assert (f"| {corruption.label} † |" in text) == (name in set(DRAWN) - {*TRAINED_CORRUPTIONS})


def test_the_card_says_which_goals_were_reached(model: BagelModel) -> None:
    text = card_text(model, poor(0.2), scenes=4, restored=2, captioned=6)
    assert text.count("**not reached**") == 3 and text.count("**reached**") == 2
    assert "worse ones by both under none of these" in text
