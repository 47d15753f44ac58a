"""Families that cut images into tiles."""

from __future__ import annotations

from typing import Any

from tests.models.hf.builders import REACH, TEXT, VISION, builder
from tests.models.hf.words import tokenizer

PINPOINTS = [[32, 64], [64, 32], [64, 64], [96, 32], [32, 96]]
CHAT = (
    "{% for m in messages %}{{ m.role }}: {% for c in m.content %}{% if c.type == 'image' %}"
    "MARK{% else %}{{ c.text }}{% endif %}{% endfor %}\n"
    "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)


def chat(mark: str) -> str:
    """A chat template that writes `mark` for an image."""
    return CHAT.replace("MARK", mark)


@builder
def llava_next() -> tuple[Any, Any]:
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessorPil,
        LlavaNextProcessor,
    )

    words = tokenizer(image_token="<image>")
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**VISION, image_size=32, patch_size=8),
        text_config=LlamaConfig(**TEXT),
        image_token_id=words.image_token_id,
        image_grid_pinpoints=PINPOINTS,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    pictures = LlavaNextImageProcessorPil(
        size={"shortest_edge": 32},
        crop_size={"height": 32, "width": 32},
        image_grid_pinpoints=PINPOINTS,
    )
    processor = LlavaNextProcessor(
        pictures,
        words,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat("<image>"),
    )
    return LlavaNextForConditionalGeneration(config), processor


@builder
def llava_next_granite() -> tuple[Any, Any]:
    """As Granite Vision: a tower without a class token, read at several layers, and a scaled text model."""
    from transformers import (
        GraniteConfig,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessorPil,
        LlavaNextProcessor,
        SiglipVisionConfig,
    )

    words = tokenizer(image_token="<image>")
    config = LlavaNextConfig(
        vision_config=SiglipVisionConfig(**VISION, image_size=32, patch_size=8, vision_use_head=False),
        text_config=GraniteConfig(**TEXT, embedding_multiplier=12.0, logits_scaling=8.0),
        image_token_id=words.image_token_id,
        image_grid_pinpoints=PINPOINTS,
        vision_feature_layer=[-3, -1],
        vision_feature_select_strategy="full",
    )
    pictures = LlavaNextImageProcessorPil(
        size={"height": 32, "width": 32},
        crop_size={"height": 32, "width": 32},
        image_grid_pinpoints=PINPOINTS,
    )
    processor = LlavaNextProcessor(
        pictures, words, patch_size=8, vision_feature_select_strategy="full", chat_template=chat("<image>")
    )
    return LlavaNextForConditionalGeneration(config), processor


def onevision(ratio: str) -> tuple[Any, Any]:
    """A LLaVA-OneVision that pools what has more patches than the ratio says."""
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessorPil,
        LlavaOnevisionProcessor,
        Qwen2Config,
        SiglipVisionConfig,
    )

    from workbench.models.hf.processor import image_only

    words = tokenizer(image_token="<image>", video_token="<video>")
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**VISION, image_size=32, patch_size=8, vision_use_head=False),
        text_config=Qwen2Config(**TEXT),
        image_token_index=words.image_token_id,
        video_token_index=words.video_token_id,
        image_grid_pinpoints=PINPOINTS,
        vision_aspect_ratio=ratio,
    )
    pictures = LlavaOnevisionImageProcessorPil(
        size={"height": 32, "width": 32}, image_grid_pinpoints=PINPOINTS
    )
    processor = image_only(LlavaOnevisionProcessor)(
        pictures,
        words,
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        vision_aspect_ratio=ratio,
        chat_template=chat("<image>"),
    )
    return LlavaOnevisionForConditionalGeneration(config), processor


@builder
def llava_onevision() -> tuple[Any, Any]:
    return onevision("anyres_max_9")


# Bilinear pooling reads the two patches about a cell's centre, whose far halves lie outside a small cell.
REACH["llava_onevision_pooled"] = 0.5


@builder
def llava_onevision_pooled() -> tuple[Any, Any]:
    return onevision("anyres_max_2")
