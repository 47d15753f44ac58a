"""Types of models that cannot be measured are refused with the reason, before weights are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from tests.models.hf.builders import BUILDERS
from workbench import models
from workbench.errors import Refusal
from workbench.models.hf.refused import REASONS


@pytest.mark.parametrize("model_type", sorted(REASONS))
def test_it_is_refused_with_the_reason(model_type: str, tmp_path: Path) -> None:
    composed = {"encoder": {"model_type": "vit"}, "decoder": {"model_type": "gpt2"}}
    parts = composed if model_type == "vision-encoder-decoder" else {}
    CONFIG_MAPPING[model_type](**parts).save_pretrained(tmp_path)
    with pytest.raises(Refusal) as caught:
        models.open(tmp_path, device="cpu")
    assert str(caught.value).startswith(f"{model_type} {REASONS[model_type]}")


def test_a_type_is_of_this_kind_and_either_refused_or_verified() -> None:
    assert set(REASONS) <= set(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)
    assert not set(REASONS) & set(BUILDERS)


def test_a_type_that_needs_torchvision_says_so_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.utils.is_torchvision_available", lambda: False)
    CONFIG_MAPPING["molmo2"]().save_pretrained(tmp_path)
    with pytest.raises(Refusal, match="molmo2 models with the package torchvision alone"):
        models.open(tmp_path, device="cpu")


def test_a_type_that_transformers_keeps_elsewhere_is_not_said_to_see_nothing(tmp_path: Path) -> None:
    CONFIG_MAPPING["phi4_multimodal"]().save_pretrained(tmp_path)
    with pytest.raises(Refusal, match="where its visual tokens are is not known"):
        models.open(tmp_path, device="cpu")
