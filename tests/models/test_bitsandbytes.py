"""8 and 4 bits by bitsandbytes itself, on the CPU; left out where it is not installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models.hf.builders import saved
from tests.models.tiny import picture
from workbench import models
from workbench.errors import Refusal
from workbench.models.protocol import Model
from workbench.panels.specimen import find

pytest.importorskip("bitsandbytes")
pytest.importorskip("accelerate")

ASKED = "what colour is the star?"


def logits(model: Model, image: np.ndarray) -> torch.Tensor:
    return model.forward(model.prepare([image], ASKED)).float()


def replaced(model: Model) -> list[str]:
    network: torch.nn.Module = model.network  # type: ignore[attr-defined]
    return [name for name, part in network.named_modules() if type(part).__name__ == "Linear8bitLt"]


def test_the_embedded_model_in_8_bits_computes_nearly_the_same() -> None:
    whole, small = (models.open("pocket-bagel", device="cpu", quantised=bits) for bits in ("", "8bit"))
    image = find("scene:10").picture.pixels
    assert len(replaced(small)) == 2 * 7 * whole.card.llm_layers
    a, b = (logits(model, image) for model in (whole, small))
    assert not torch.equal(a, b)
    assert float(torch.nn.functional.cosine_similarity(a, b)) > 0.999
    said = [model.answer(model.prepare([image], ASKED))[0].text for model in (whole, small)]
    assert said[0] == said[1] and small.card.dtype == "8bit float32"


def test_a_transformers_model_in_8_bits_computes_nearly_the_same(tmp_path: Path) -> None:
    folder = saved("llava", tmp_path)
    whole, small = (models.open(folder, device="cpu", quantised=bits) for bits in ("", "8bit"))
    assert {name.split(".")[-1] for name in replaced(small)} >= {"q_proj", "down_proj"}
    assert whole.card.parameters == small.card.parameters
    a, b = (logits(model, picture(70, 100)) for model in (whole, small))
    assert not torch.equal(a, b) and float(torch.nn.functional.cosine_similarity(a, b)) > 0.99


def test_sides_that_its_kernels_do_not_take_are_a_sentence(tmp_path: Path) -> None:
    """On a CPU its 4 bits want multiples of 32 and 64, which tiny matrices are not; it may learn to."""
    try:
        model = models.open(saved("llava", tmp_path), device="cpu", quantised="4bit")
    except Refusal as refusal:
        assert "cannot compute llava in 4bit on cpu" in str(refusal)
        assert "Take the other number of bits" in str(refusal)
    else:
        assert model.card.dtype == "4bit float32"
