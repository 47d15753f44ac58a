"""Processors read from folders as they are published: in one file, or in one for each part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.models.hf.builders import saved
from workbench.models.hf.processor import read_processor

SETTINGS = {
    "internvl": {"image_seq_length": 4},
    "llava_onevision": {"num_image_tokens": 16, "vision_aspect_ratio": "anyres_max_9"},
    "smolvlm": {"image_seq_len": 4},
    "cohere2_vision": {"patch_size": 2},
    "llama4": {"patch_size": 8},
}
"""By model type, settings of its processor that are not the default."""


def separated(folder: Path) -> None:
    """Lay the folder out with a file for each part, one of them for videos, and older names."""
    path = folder / "processor_config.json"
    whole: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    pictures = whole.pop("image_processor")
    pictures |= {
        "image_processor_type": f"{pictures['image_processor_type']}Fast",
        "processor_class": whole["processor_class"],
    }
    path.write_text(json.dumps(whole), encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures), encoding="utf-8")
    video = {"video_processor_type": "SmolVLMVideoProcessor"}
    (folder / "video_preprocessor_config.json").write_text(json.dumps(video), encoding="utf-8")


def with_video(folder: Path) -> None:
    """Put a video processor among the settings."""
    path = folder / "processor_config.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    whole["video_processor"] = {"video_processor_type": "SmolVLMVideoProcessor", "size": {"height": 8}}
    path.write_text(json.dumps(whole), encoding="utf-8")


@pytest.mark.parametrize("laid_out", [separated, with_video])
@pytest.mark.parametrize("model_type", sorted(SETTINGS))
def test_a_processor_keeps_its_settings(model_type: str, laid_out: Any, tmp_path: Path) -> None:
    folder = saved(model_type, tmp_path)
    before = read_processor(folder)
    laid_out(folder)
    processor = read_processor(folder)
    for name, value in SETTINGS[model_type].items():
        assert getattr(processor, name) == value
    assert processor.image_processor.to_dict() == before.image_processor.to_dict()
    assert processor.chat_template == before.chat_template
    assert processor.image_processor.backend == "pil"
