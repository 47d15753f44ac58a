"""Whole attention, layer by layer, and the lengths of what is attended to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.hf.builders import saved
from tests.models.tiny import opened, picture, write
from workbench.capture.attention import attention_rows
from workbench.capture.layers import attending, value_norms
from workbench.models.hf.load import load
from workbench.models.protocol import Model


@pytest.fixture(scope="module", params=["bagel", "llava", "qwen2_5_vl", "eager"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    from workbench.models import Opening

    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "bagel":
        return opened(write(folder / "tiny"))
    name, kernel = ("llava", "eager") if request.param == "eager" else (request.param, "auto")
    return load(
        saved(name, folder),
        name=name,
        device=torch.device("cpu"),
        dtype=torch.float32,
        opening=Opening(attention=kernel),
    )


def test_norms_are_those_of_values_through_each_heads_part_of_the_output(model: Model) -> None:
    prompt = model.prepare([picture(64, 64)], "what red is it?")
    attentions, norms, kept = {}, {}, {}

    def look(stage, module, call) -> None:  # type: ignore[no-untyped-def]
        found, through = value_norms(module, call)
        assert through
        norms[stage.name], attentions[stage.name] = found, (module, call.value)
        kept[stage.name] = call.rows(torch.arange(call.queries))

    with torch.inference_mode(), attending(model, prompt, look):
        model.forward(prompt)
    rows = torch.tensor([3, 7])
    told = attention_rows(model, prompt, rows)
    assert [stage.name for stage in told.stages] == list(norms)
    for stage, weights in zip(told.stages, told.weights, strict=True):
        np.testing.assert_array_equal(kept[stage.name][:, :, rows], weights)
        module, value = attentions[stage.name]
        heads, size = weights.shape[1], value.shape[-1]
        each = value.repeat_interleave(heads // value.shape[1], dim=1)
        for h in range(heads):
            # The module itself, given one head's values and nothing else.
            alone = torch.zeros(*each.shape[:1], each.shape[2], heads * size)
            alone[..., h * size : (h + 1) * size] = each[:, h]
            with torch.inference_mode():
                added = module.o_proj(alone)
            torch.testing.assert_close(norms[stage.name][:, h], added.norm(dim=-1), atol=1e-4, rtol=1e-4)


def test_without_a_plain_output_map_it_is_the_values_own_length(model: Model) -> None:
    prompt = model.prepare([picture(64, 64)], "what red is it?")

    def look(stage, module, call) -> None:  # type: ignore[no-untyped-def]
        found, through = value_norms(torch.nn.Module(), call)
        assert not through
        heads = found.shape[1]
        want = call.value.norm(dim=-1).repeat_interleave(heads // call.value.shape[1], dim=1)
        torch.testing.assert_close(found, want)

    with torch.inference_mode(), attending(model, prompt, look):
        model.forward(prompt)
