"""The lens at the last stage is what the model itself would say there, and no head is applied twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.models import tiny
from tests.models.hf.builders import saved
from workbench import models
from workbench.capture.hidden import capture
from workbench.capture.lens import readings
from workbench.errors import Cancelled, Refusal
from workbench.models.bagel.adapter import BagelModel
from workbench.models.hf.adapter import HFModel
from workbench.models.protocol import Model


@pytest.fixture(scope="module", params=["pocket-bagel", "tiny", "llava", "gemma3", "qwen2_vl"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("lens")
    if request.param == "pocket-bagel":
        return models.open("pocket-bagel", device="cpu")
    if request.param == "tiny":
        return tiny.opened(tiny.write(folder / "tiny"))
    return models.open(saved(request.param, folder), device="cpu")


def logits_at(model: Any, prompt: Any) -> torch.Tensor:
    """What the model computes at every place of the sequence: (places, vocabulary), by its own forward."""
    with torch.inference_mode():
        if isinstance(model, BagelModel):
            kept: list[torch.Tensor] = []
            language = model.network.language_model.model
            handle = language.register_forward_hook(lambda module, args, out: kept.append(out[0]))
            try:
                model.forward(prompt)
            finally:
                handle.remove()
            return model.network.logits(kept[0])[0]
        assert isinstance(model, HFModel)
        return model.network(**prompt.inputs, use_cache=False).logits[0]


def test_the_last_stage_reads_what_the_model_says_there(model: Model) -> None:
    prompt = model.prepare([tiny.picture(64, 96)], "what is this?")
    captured = capture(model, prompt)
    word = model.spelled([37])[0]
    (read,) = readings(model, [captured.states[-1][0]], top=4, words={word: [37, 12]})
    expected = logits_at(model, prompt)[prompt.visual].float().log_softmax(-1)
    best = expected.topk(4, dim=-1)
    np.testing.assert_allclose(read.probabilities, best.values.exp(), rtol=2e-3, atol=1e-6)
    clear = (best.values[:, 0] - best.values[:, 1]) > 1e-3  # nearly equal ones may change places
    assert clear.any()
    assert (read.ids[:, 0] == best.indices[:, 0].numpy())[clear.numpy()].all()
    entropy = torch.distributions.Categorical(logits=expected).entropy()
    np.testing.assert_allclose(read.entropy, entropy, rtol=1e-3, atol=1e-4)
    together = expected.exp()[:, [37, 12]].sum(-1)
    np.testing.assert_allclose(read.words[:, 0], together, rtol=2e-3, atol=1e-6)


def test_every_token_that_the_head_can_say_has_a_name(model: Model) -> None:
    size = model.readout(torch.zeros(1, model.card.width)).shape[-1]
    named = model.spelled(list(range(size)))
    assert len(named) == size and all(named)
    for word in ("red", "blue"):
        found = model.beginnings(word)
        assert found and all(word.startswith(text.strip()) for text in model.spelled(found))
    with pytest.raises(Refusal):
        model.beginnings("")


def test_it_stops_between_stages_and_keeps_what_a_small_vocabulary_has(model: Model) -> None:
    states = np.ones((3, model.card.width), np.float32)
    size = model.readout(torch.zeros(1, model.card.width)).shape[-1]
    first = next(readings(model, [states, states], top=size + 5, words={}))
    assert first.ids.shape == (3, size) and first.words.shape == (3, 0)
    np.testing.assert_allclose(first.probabilities.sum(axis=1), 1, rtol=1e-4)
    with pytest.raises(Cancelled):
        next(readings(model, [states], top=1, words={}, stop=lambda: True))
