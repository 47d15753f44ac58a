"""Tiny random checkpoints of every family, made with transformers' own classes and written to disk.

A builder returns (network, processor); `saved` writes them as their authors would publish them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.models.hf.words import tokenizer

Builder = Callable[[], tuple[Any, Any]]
BUILDERS: dict[str, Builder] = {}
REACH: dict[str, float] = {}
"""By model type, the share of its cell by which a visual token reaches beyond it, resizing aside."""

TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 400,
    "max_position_embeddings": 4096,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
"""A language model that any family can have."""
VISION = {
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}


def builder(function: Builder) -> Builder:
    """Register a builder under its name, the model type."""
    BUILDERS[function.__name__] = function
    return function


_KEPT = TemporaryDirectory(prefix="families-")
"""Where a session's checkpoints are written once, to be copied from."""


def saved(model_type: str, folder: Path) -> Path:
    """Put a tiny checkpoint of this type into the folder, to be changed at will; returns where it is."""
    return Path(shutil.copytree(_made(model_type), folder / model_type, dirs_exist_ok=True))


@cache
def _made(model_type: str) -> Path:
    """Write a tiny checkpoint of this type with seeded random weights; returns its folder."""
    import torch
    from transformers import ProcessorMixin

    torch.manual_seed(0)
    network, processor = BUILDERS[model_type]()
    with torch.no_grad():
        for name, p in network.named_parameters():
            if p.ndim > 1:
                torch.nn.init.normal_(p, std=_spread(name))
    path = Path(_KEPT.name) / model_type
    network.save_pretrained(path)
    # Ernie's own way of saving wants a font for its videos.
    ProcessorMixin.save_pretrained(processor, path)
    return path


def _spread(name: str) -> float:
    """Standard deviation of a parameter's values: in a tokeniser such that many of its codes get used."""
    if "quantize.embedding" in name:
        return 0.001
    return 0.3 if "vqmodel" in name else 0.08


@builder
def llava() -> tuple[Any, Any]:
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    words = tokenizer(image_token="<image>")
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**VISION, image_size=48, patch_size=8),
        text_config=LlamaConfig(**TEXT),
        image_token_id=words.image_token_id,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    pictures = CLIPImageProcessorPil(size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48})
    processor = LlavaProcessor(
        pictures,
        words,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    return LlavaForConditionalGeneration(config), processor


@builder
def llava_siglip() -> tuple[Any, Any]:
    """Patches that leave some of the picture over, as the published towers' 27 of 14 pixels on 384 do."""
    from transformers import (
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        SiglipImageProcessorPil,
        SiglipVisionConfig,
    )

    words = tokenizer(image_token="<image>")
    config = LlavaConfig(
        vision_config=SiglipVisionConfig(**VISION, image_size=39, patch_size=8, vision_use_head=False),
        text_config=LlamaConfig(**TEXT),
        image_token_id=words.image_token_id,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    pictures = SiglipImageProcessorPil(size={"height": 39, "width": 39})
    processor = LlavaProcessor(pictures, words, patch_size=8, vision_feature_select_strategy="full")
    return LlavaForConditionalGeneration(config), processor


@builder
def qwen2_5_vl() -> tuple[Any, Any]:
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessorPil,
    )

    words = tokenizer(
        "<|vision_start|>", "<|vision_end|>", image_token="<|image_pad|>", video_token="<|video_pad|>"
    )
    ids = words.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        vision_config={
            "depth": 3,
            "hidden_size": 48,
            "intermediate_size": 64,
            "num_heads": 4,
            "out_hidden_size": 64,
            "patch_size": 8,
            "window_size": 32,
            "fullatt_block_indexes": [1],
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        text_config=TEXT
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]}},
        image_token_id=words.image_token_id,
        video_token_id=words.video_token_id,
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
    )
    pictures = Qwen2VLImageProcessorPil(
        patch_size=8, merge_size=2, temporal_patch_size=2, min_pixels=32 * 32, max_pixels=160 * 160
    )
    template = (
        "{% for m in messages %}{{ m.role }}: {% for c in m.content %}{% if c.type == 'image' %}"
        "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c.text }}{% endif %}{% endfor %}\n"
        "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
    )
    from workbench.models.hf.processor import image_only

    processor = image_only(Qwen2_5_VLProcessor)(pictures, words, chat_template=template)
    return Qwen2_5_VLForConditionalGeneration(config), processor


from tests.models.hf import (  # noqa: E402
    builders_gemma,  # noqa: F401
    builders_native,  # noqa: F401
    builders_newer,  # noqa: F401
    builders_omni,  # noqa: F401
    builders_packed,  # noqa: F401
    builders_pixtral,  # noqa: F401
    builders_plain,  # noqa: F401
    builders_tiles,  # noqa: F401
    builders_unified,  # noqa: F401
)
