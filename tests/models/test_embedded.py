"""The checkpoint that comes with the workbench opens and does all it claims, whatever it has learnt."""

from __future__ import annotations

import numpy as np
import pytest

from workbench import models
from workbench.images.scenes import generate
from workbench.models.protocol import Capability, Final, Model, Sampling, Thought, VisualState

QUESTION = "what colour is the largest shape?"


@pytest.fixture(scope="module")
def pocket() -> Model:
    return models.open(device="cpu")


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    image: np.ndarray = generate([0], "test").images[0]
    return image


def test_its_card(pocket: Model) -> None:
    card = pocket.card
    assert (card.id, card.family, card.dtype) == ("pocket-bagel", "bagel", "float32")
    assert card.capabilities == frozenset(Capability) - {Capability.TOKENISES}
    assert card.llm_layers >= 8
    assert card.knows
    assert card.licence == "Apache-2.0"
    assert sum(f.stat().st_size for f in card.folder.iterdir()) <= 25e6


def test_its_grid(pocket: Model, scene: np.ndarray) -> None:
    prompt = pocket.prepare([scene], QUESTION)
    assert scene.shape == (96, 96, 3)
    assert (prompt.grid.rows, prompt.grid.cols) == (12, 12)
    np.testing.assert_array_equal(pocket.resized(scene), scene)


def test_it_answers_and_scores(pocket: Model, scene: np.ndarray) -> None:
    prompt = pocket.prepare([scene], QUESTION)
    answer = pocket.answer(prompt)[0]
    assert 0 <= answer.probability <= 1
    scores = pocket.score(prompt, ["red", "blue", "a long answer"])
    assert scores.shape == (1, 3)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("restore", ["auto", "always", "never"])
def test_it_responds(pocket: Model, scene: np.ndarray, restore: str) -> None:
    settings = Sampling(steps=2, restore=restore, max_new_tokens=24)
    everything = list(pocket.respond(scene, QUESTION, settings))
    growing = [e for e in everything if isinstance(e, Thought) and not e.done]
    assert growing
    found = [e for e in everything if e not in growing]
    assert isinstance(found[0], Thought) and found[0].text.startswith(growing[0].text)
    assert isinstance(found[-1], Final)
    drawn = [e for e in found if isinstance(e, VisualState)]
    if restore == "always":
        assert [e.step for e in drawn] == [0, 1, 2]
        assert found[-1].restored is not None
        assert found[-1].restored.shape == scene.shape
    if restore == "never":
        assert not drawn
        assert "<image_restore>" not in found[0].text
