"""Families that cut images into tiles."""

from __future__ import annotations

from typing import Any

from tests.models.hf.builders import REACH, TEXT, VISION, builder
from tests.models.hf.words import tokenizer


def pinpoints(tile: int) -> list[list[int]]:
    """Canvases, height and width, of up to four tiles."""
    return [[rows * tile, cols * tile] for rows, cols in [(1, 2), (2, 1), (2, 2), (3, 1), (1, 3)]]


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
        image_grid_pinpoints=pinpoints(32),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    pictures = LlavaNextImageProcessorPil(
        size={"shortest_edge": 32},
        crop_size={"height": 32, "width": 32},
        image_grid_pinpoints=pinpoints(32),
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
        image_grid_pinpoints=pinpoints(32),
        vision_feature_layer=[-3, -1],
        vision_feature_select_strategy="full",
    )
    pictures = LlavaNextImageProcessorPil(
        size={"height": 32, "width": 32},
        crop_size={"height": 32, "width": 32},
        image_grid_pinpoints=pinpoints(32),
    )
    processor = LlavaNextProcessor(
        pictures, words, patch_size=8, vision_feature_select_strategy="full", chat_template=chat("<image>")
    )
    return LlavaNextForConditionalGeneration(config), processor


def onevision(ratio: str) -> tuple[Any, Any]:
    """A LLaVA-OneVision that pools what has more patches than the ratio says.

    Its patches leave some of a tile over, as the published one's do: 27 of 14 pixels on 384.
    """
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
        vision_config=SiglipVisionConfig(**VISION, image_size=39, patch_size=8, vision_use_head=False),
        text_config=Qwen2Config(**TEXT),
        image_token_index=words.image_token_id,
        video_token_index=words.video_token_id,
        image_grid_pinpoints=pinpoints(39),
        vision_aspect_ratio=ratio,
    )
    pictures = LlavaOnevisionImageProcessorPil(
        size={"height": 39, "width": 39}, image_grid_pinpoints=pinpoints(39)
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


@builder
def internvl() -> tuple[Any, Any]:
    from transformers import (
        GotOcr2ImageProcessorPil,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVisionConfig,
        Qwen2Config,
    )

    from workbench.models.hf.processor import image_only

    words = tokenizer(
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(**VISION, image_size=[32, 32], patch_size=[8, 8]),
        text_config=Qwen2Config(**TEXT),
        image_token_id=words.context_image_token_id,
        image_seq_length=4,
    )
    pictures = GotOcr2ImageProcessorPil(size={"height": 32, "width": 32}, max_patches=6)
    processor = image_only(InternVLProcessor)(
        pictures, words, image_seq_length=4, chat_template=chat("<IMG_CONTEXT>\n")
    )
    return InternVLForConditionalGeneration(config), processor


@builder
def aya_vision() -> tuple[Any, Any]:
    from transformers import (
        AyaVisionConfig,
        AyaVisionForConditionalGeneration,
        AyaVisionProcessor,
        Cohere2Config,
        GotOcr2ImageProcessorPil,
        SiglipVisionConfig,
    )

    words = tokenizer(
        "<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_PATCH|>", "<|IMG_LINE_BREAK|>", "TILE", "TILE_GLOBAL"
    )
    config = AyaVisionConfig(
        vision_config=SiglipVisionConfig(**VISION, image_size=32, patch_size=8, vision_use_head=False),
        text_config=Cohere2Config(**TEXT, sliding_window=64),
        image_token_index=words.convert_tokens_to_ids("<|IMG_PATCH|>"),
    )
    pictures = GotOcr2ImageProcessorPil(size={"height": 32, "width": 32}, max_patches=6)
    processor = AyaVisionProcessor(
        pictures, words, patch_size=8, img_size=32, downsample_factor=2, chat_template=chat("<image>")
    )
    return AyaVisionForConditionalGeneration(config), processor


@builder
def cohere2_vision() -> tuple[Any, Any]:
    from transformers import (
        Cohere2Config,
        Cohere2VisionConfig,
        Cohere2VisionForConditionalGeneration,
        Cohere2VisionProcessor,
        SiglipVisionConfig,
    )

    from workbench.models.hf.image_processors.cohere2_vision import Cohere2VisionImageProcessor

    words = tokenizer(
        boi_token="<|START_OF_IMG|>",
        eoi_token="<|END_OF_IMG|>",
        image_token="<|IMG_PATCH|>",
        img_line_break_token="<|IMG_LINE_BREAK|>",
    )
    config = Cohere2VisionConfig(
        vision_config=SiglipVisionConfig(**VISION, image_size=32, patch_size=8, vision_use_head=False),
        text_config=Cohere2Config(**TEXT, sliding_window=64),
        image_token_id=words.image_token_id,
        alignment_intermediate_size=96,
    )
    pictures = Cohere2VisionImageProcessor(size={"height": 32, "width": 32}, max_patches=6, patch_size=2)
    processor = Cohere2VisionProcessor(pictures, words, chat_template=chat("<|IMG_PATCH|>"))
    return Cohere2VisionForConditionalGeneration(config), processor


@builder
def llama4() -> tuple[Any, Any]:
    from transformers import Llama4Config, Llama4ForConditionalGeneration, Llama4Processor

    from workbench.models.hf.image_processors.llama4 import Llama4ImageProcessor

    words = tokenizer(
        "<|image_start|>",
        "<|image_end|>",
        "<|image|>",
        "<|patch|>",
        "<|tile_x_separator|>",
        "<|tile_y_separator|>",
        "<|header_start|>",
        "<|header_end|>",
        "<|eot|>",
    )
    config = Llama4Config(
        vision_config=VISION
        | {
            "image_size": 32,
            "patch_size": 8,
            "vision_output_dim": 48,
            "projector_input_dim": 48,
            "projector_output_dim": 48,
            "intermediate_size": 192,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        },
        text_config=TEXT
        | {
            "intermediate_size_mlp": 96,
            "head_dim": 16,
            "num_local_experts": 2,
            "interleave_moe_layer_step": 2,
            "attention_chunk_size": 64,
        },
        image_token_index=words.convert_tokens_to_ids("<|patch|>"),
        boi_token_index=words.convert_tokens_to_ids("<|image_start|>"),
        eoi_token_index=words.convert_tokens_to_ids("<|image_end|>"),
    )
    pictures = Llama4ImageProcessor(size={"height": 32, "width": 32}, max_patches=6)
    return Llama4ForConditionalGeneration(config), Llama4Processor(pictures, words, patch_size=8)


SEPARATORS = ["<fake_token_around_image>", "<global-img>", "<end_of_utterance>"] + [
    f"<row_{row}_col_{col}>" for row in range(1, 4) for col in range(1, 4)
]
SMALL_TILES = {"size": {"longest_edge": 192}, "max_image_size": {"longest_edge": 64}}
SIGLIP = VISION | {"image_size": 64, "patch_size": 16}


@builder
def smolvlm() -> tuple[Any, Any]:
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessorPil,
        SmolVLMProcessor,
    )

    from workbench.models.hf.processor import image_only

    words = tokenizer(
        *SEPARATORS,
        image_token="<image>",
        fake_image_token="<fake_token_around_image>",
        global_image_token="<global-img>",
        end_of_utterance_token="<end_of_utterance>",
        video_token="<video>",
    )
    config = SmolVLMConfig(
        vision_config=SIGLIP,
        text_config=TEXT | {"model_type": "llama"},
        image_token_id=words.image_token_id,
    )
    processor = image_only(SmolVLMProcessor)(
        SmolVLMImageProcessorPil(**SMALL_TILES), words, None, image_seq_len=4, chat_template=chat("<image>")
    )
    return SmolVLMForConditionalGeneration(config), processor


@builder
def idefics3() -> tuple[Any, Any]:
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessorPil,
        Idefics3Processor,
    )

    words = tokenizer(*SEPARATORS, image_token="<image>")
    config = Idefics3Config(
        vision_config=SIGLIP,
        text_config=TEXT | {"model_type": "llama"},
        image_token_id=words.image_token_id,
    )
    processor = Idefics3Processor(
        Idefics3ImageProcessorPil(**SMALL_TILES), words, image_seq_len=4, chat_template=chat("<image>")
    )
    return Idefics3ForConditionalGeneration(config), processor
