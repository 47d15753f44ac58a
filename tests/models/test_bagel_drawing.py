"""BAGEL drawing from words alone, against the walk done by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from workbench.errors import Cancelled, Refusal
from workbench.models.bagel.adapter import BagelModel
from workbench.models.bagel.network import Context
from workbench.models.drawing import Canvas, DrawSettings
from workbench.models.protocol import Capability, VisualState

WORDS = "a red seven"


def states(model: BagelModel, **settings: Any) -> list[VisualState]:
    canvas, *rest = model.draw(WORDS, DrawSettings(**({"steps": 3} | settings)))
    assert isinstance(canvas, Canvas) and canvas.by == "flow"
    return [state for state in rest if isinstance(state, VisualState)]


@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_the_walk_is_eulers_from_the_words_against_nothing(model: BagelModel, guidance: float) -> None:
    """Guidance without renormalisation (least factor 1), at every t, is v∅ + s (v − v∅)."""
    found = states(model, guidance=guidance, seed=5, interval=(0.0, 1.0), renorm_min=1.0, shift=2.0)
    network = model.network
    ids = model.segment(model.pieces(WORDS))
    x = torch.randn(
        1, len(found[0].latent), model.config.latent_dim, generator=torch.Generator().manual_seed(5)
    )
    side = round(len(found[0].latent) ** 0.5)
    assert np.array_equal(found[0].latent, x[0].numpy())
    times = [2 * t / (1 + t) for t in (1, 2 / 3, 1 / 3, 0)]
    with torch.inference_mode():
        read, _ = network.add_text(Context(), ids)
        for state, t, after in zip(found[1:], times, times[1:], strict=False):
            v, other = (network.velocity(c, x, side, side, t, model.special) for c in (read, Context()))
            v = other + guidance * (v - other)
            x = x - (t - after) * v
            assert np.allclose(state.latent, x[0].numpy(), atol=1e-5)
            assert state.t == pytest.approx(after) and state.velocity_norm == pytest.approx(
                float(v.norm()), rel=1e-4
            )


def test_words_decide_and_so_does_the_seed(model: BagelModel) -> None:
    one, same, other = (states(model, seed=seed)[-1].image for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    *_, blue = model.draw("a blue one", DrawSettings(steps=3, seed=1))
    assert isinstance(blue, VisualState) and not np.array_equal(blue.image, one)


def test_the_size_is_as_asked(model: BagelModel) -> None:
    cell = model.config.pixels_per_latent
    assert states(model, height=cell)[-1].image.shape[:2] == (cell, model.config.vae_resize.longest)
    for side in (cell + 1, 2 * model.config.vae_resize.longest):
        with pytest.raises(Refusal, match="multiples"):
            states(model, width=side)


def test_it_says_what_it_can_and_what_it_used(model: BagelModel) -> None:
    assert Capability.GENERATES in model.card.capabilities
    assert Capability.TOKENISES not in model.card.capabilities
    canvas = next(iter(model.draw(WORDS, DrawSettings())))
    assert isinstance(canvas, Canvas) and WORDS in canvas.read and canvas.settings.guidance == 4.0
    with pytest.raises(Refusal, match="no tokeniser"):
        model.tokenised(np.zeros((48, 48, 3), np.uint8))


def test_without_words_or_told_to_stop_it_draws_nothing(model: BagelModel) -> None:
    with pytest.raises(Refusal, match="no words"):
        list(model.draw(" ", DrawSettings()))
    with pytest.raises(Cancelled):
        list(model.draw(WORDS, DrawSettings(), stop=lambda: True))
