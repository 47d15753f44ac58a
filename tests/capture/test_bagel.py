"""What capture reads from BAGEL is what its own parts compute."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.card import CARD
from tests.models.tiny import CONFIG
from workbench.capture.attention import attention_rows, keeping_rows
from workbench.capture.hidden import capture
from workbench.models.bagel.adapter import BagelModel
from workbench.models.bagel.autoencoder import Autoencoder
from workbench.models.bagel.config import ResizeRule
from workbench.models.bagel.network import Bagel, Context, SpecialTokens
from workbench.models.bagel.sequence import Text, laid
from workbench.models.protocol import Prompt


@pytest.fixture(scope="module")
def model() -> BagelModel:
    torch.manual_seed(0)
    config = replace(
        CONFIG,
        vision=replace(CONFIG.vision, image_size=64),
        vit_resize=ResizeRule(64, 32, 8),
        vae_resize=ResizeRule(64, 32, 8),
    )
    card = replace(CARD, vision_layers=2, llm_layers=3, width=32)
    network = Bagel(config)
    network.vit_pos_embed.reset()
    network.latent_pos_embed.reset()
    return BagelModel(network, Autoencoder(config.autoencoder), None, SpecialTokens(0, 1, 2, 3), card)


def test_states_are_those_of_the_parts(model: BagelModel) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(3)]
    prompt = model.prepare(images)
    assert (prompt.grid.rows, prompt.grid.cols) == (6, 8)
    found = capture(model, prompt)
    states = {stage.name: state for stage, state in zip(found.stages, found.states, strict=True)}
    assert [*states] == [stage.name for stage in model.stages()]
    tower, network = model.network.vit_model.vision_model, model.network
    with torch.inference_mode():
        seen = torch.from_numpy(states["vision 2"].copy())
        connected = network.connector(tower.post_layernorm(seen))
        entered = network.embed_vision(model.pixels(prompt), 6, 8)
        last = network.language_model.model.norm(torch.from_numpy(states["llm 3"].copy()))
        context, _ = network._image_block(Context(), entered, model.special, latent=False)
    np.testing.assert_allclose(states["projector"], connected, atol=1e-5)
    np.testing.assert_allclose(states["llm 0"], entered, atol=1e-5)
    np.testing.assert_allclose(last, context[:, 1:-1], atol=1e-4)


def test_a_question_after_the_image_does_not_change_its_states(model: BagelModel) -> None:
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    alone, asked = model.prepare([image]), model.prepare([image])
    asked.inputs["segments"] += [Text(torch.tensor([[0, 7, 8, 9, 1]]))]
    asked.inputs["where"] = laid(asked.inputs["segments"])
    for have, want in zip(capture(model, asked).states, capture(model, alone).states, strict=True):
        np.testing.assert_allclose(have, want, atol=1e-5)


def test_attention_of_the_same_pass(model: BagelModel, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = model.prepare([np.full((48, 64, 3), 90, np.uint8)])
    rows = torch.tensor([0, 7, 49])
    apart = capture(model, prompt).states, attention_rows(model, prompt, rows)
    passes: list[Prompt] = []
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda shown: passes.append(shown) or forward(shown))
    with keeping_rows(model, prompt, rows) as attended:
        states = capture(model, prompt).states
    assert len(passes) == 1
    for got, expected in zip([*states, *attended().weights], [*apart[0], *apart[1].weights], strict=True):
        np.testing.assert_array_equal(got, expected)
    assert attended().stages == apart[1].stages
