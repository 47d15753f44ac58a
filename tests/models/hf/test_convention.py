"""What the convention decides where a folder leaves it open."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.hf.builders import saved
from workbench.errors import Refusal
from workbench.models.hf.adapter import HFModel
from workbench.models.hf.family import Family
from workbench.models.hf.load import load
from workbench.models.verify import verify


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> HFModel:
    path = saved("gemma3", tmp_path_factory.mktemp("convention"))
    return load(path, name="gemma3", device=torch.device("cpu"), dtype=torch.float32)


def test_of_two_ends_an_answer_has_the_one_that_the_chat_template_writes(gemma: HFModel) -> None:
    words = gemma.processor.tokenizer
    turn = words.convert_tokens_to_ids("<end_of_turn>")
    assert gemma.family.ends == {words.eos_token_id, turn}
    assert gemma.family.candidate("red")[0].tolist()[-1] == turn


def test_without_a_chat_template_an_answer_has_the_tokenizers_end(
    gemma: HFModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gemma.processor, "chat_template", None)
    family = type(gemma.family)(gemma.network, gemma.processor)
    assert family.candidate("red")[0].tolist()[-1] == gemma.processor.tokenizer.eos_token_id


def test_crops_of_an_unknown_kind_are_refused_though_they_would_make_a_grid(gemma: HFModel) -> None:
    inputs = dict(gemma.prepare([np.zeros((64, 200, 3), np.uint8)], "what?").inputs)
    inputs["pixel_values"] = inputs["pixel_values"].repeat(4, 1, 1, 1)
    with pytest.raises(Refusal, match="makes 4 pictures of 1"):
        Family.grids(gemma.family, inputs, [(64, 200)])


def test_crops_that_do_not_divide_the_image_keep_their_own_widths(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = saved("gemma3_crops", tmp_path_factory.mktemp("crops"))
    model = load(path, name="gemma3_crops", device=torch.device("cpu"), dtype=torch.float32)
    made = model.processor.image_processor.pan_and_scan(np.zeros((3, 64, 200)), 32, 4, 1.2)
    widths = [crop.shape[2] for crop in made]
    assert widths == [67, 67, 66]
    prompt = model.prepare([np.zeros((64, 200, 3), np.uint8)], "what?")
    assert (prompt.grid.rows, prompt.grid.cols) == (4, 12)
    x0, _, x1, _ = prompt.grid.boxes[:12].T
    assert x0[::4].tolist() == [0, 67, 134] and x1[3::4].tolist() == [67, 134, 200]
    assert [(view.grid.part, view.grid.rows) for view in prompt.others] == [("thumbnail", 4)]


def test_a_tower_whose_order_is_not_known_is_refused_at_opening(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """By the convention alone the windows of Qwen2.5-VL's tower would be taken for rows."""
    path = saved("qwen2_5_vl", tmp_path_factory.mktemp("windows"))
    model = load(path, name="qwen2_5_vl", device=torch.device("cpu"), dtype=torch.float32)
    verify(model)
    model.family = Family(model.network, model.processor)
    with pytest.raises(Refusal, match="patches of its tower in another order"):
        verify(model)
