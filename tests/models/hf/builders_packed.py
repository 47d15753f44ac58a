"""Tiny checkpoints of more families that read an image at its own resolution, several of them for documents."""

from __future__ import annotations

from typing import Any

from tests.models.hf.builders import TEXT, VISION, builder
from tests.models.hf.builders_native import (
    GLM,
    GLM_ROPE,
    GLM_VISION,
    QWEN,
    ROPE,
    glm_ids,
    glm_pictures,
    glm_words,
    qwen_ids,
    qwen_pictures,
    qwen_words,
    template,
)
from tests.models.hf.builders_pixtral import TOWER
from tests.models.hf.words import tokenizer
from workbench.models.hf.processor import image_only


@builder
def glm_ocr() -> tuple[Any, Any]:
    from transformers import (
        Glm46VImageProcessorPil,
        Glm46VProcessor,
        GlmOcrConfig,
        GlmOcrForConditionalGeneration,
    )

    words = glm_words()
    config = GlmOcrConfig(
        vision_config=GLM_VISION,
        text_config=TEXT | {"head_dim": 16, "rope_parameters": GLM_ROPE},
        **glm_ids(words),
    )
    processor = image_only(Glm46VProcessor)(glm_pictures(Glm46VImageProcessorPil), words, chat_template=GLM)
    return GlmOcrForConditionalGeneration(config), processor


@builder
def paddleocr_vl() -> tuple[Any, Any]:
    from transformers import (
        PaddleOCRVLConfig,
        PaddleOCRVLForConditionalGeneration,
        PaddleOCRVLImageProcessorPil,
        PaddleOCRVLProcessor,
    )

    words = tokenizer("<|IMAGE_START|>", "<|IMAGE_END|>", image_token="<|IMAGE_PLACEHOLDER|>")
    config = PaddleOCRVLConfig(
        vision_config=VISION | {"image_size": 48, "patch_size": 8, "spatial_merge_size": 2},
        text_config=TEXT | {"head_dim": 16, "rope_parameters": ROPE},
        image_token_id=words.image_token_id,
        vision_start_token_id=words.convert_tokens_to_ids("<|IMAGE_START|>"),
        vision_end_token_id=words.convert_tokens_to_ids("<|IMAGE_END|>"),
    )
    pictures = PaddleOCRVLImageProcessorPil(
        patch_size=8, merge_size=2, min_pixels=32 * 32, max_pixels=160 * 160
    )
    chat = template("User: ", "<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>", "Assistant: ")
    processor = PaddleOCRVLProcessor(pictures, words, chat_template=chat)
    return PaddleOCRVLForConditionalGeneration(config), processor


@builder
def video_llama_3() -> tuple[Any, Any]:
    from transformers import (
        VideoLlama3Config,
        VideoLlama3ForConditionalGeneration,
        VideoLlama3ImageProcessorPil,
        VideoLlama3Processor,
    )

    words = tokenizer(image_token="<image>", video_token="<video>")
    config = VideoLlama3Config(
        vision_config=VISION | {"patch_size": 8},
        text_config=TEXT | {"model_type": "qwen2"},
        image_token_id=words.image_token_id,
        video_token_id=words.video_token_id,
    )
    pictures = VideoLlama3ImageProcessorPil(
        patch_size=8, merge_size=2, min_pixels=32 * 32, max_pixels=160 * 160
    )
    chat = template("user: ", "<image>", "assistant: ")
    processor = image_only(VideoLlama3Processor)(pictures, words, chat_template=chat)
    return VideoLlama3ForConditionalGeneration(config), processor


@builder
def exaone4_5() -> tuple[Any, Any]:
    from transformers import Exaone4_5_Config, Exaone4_5_ForConditionalGeneration, Exaone4_5_Processor

    words = qwen_words()
    config = Exaone4_5_Config(
        vision_config={
            "depth": 3,
            "hidden_size": 48,
            "intermediate_size": 64,
            "num_heads": 4,
            "num_key_value_heads": 2,
            "out_hidden_size": 64,
            "patch_size": 8,
            "window_size": 32,
            "fullatt_block_indexes": [1],
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        text_config=TEXT | {"model_type": "exaone4", "sliding_window": 24, "sliding_window_pattern": 2},
        image_token_id=words.image_token_id,
        video_token_id=words.video_token_id,
    )
    processor = image_only(Exaone4_5_Processor)(qwen_pictures(), words, chat_template=QWEN)
    return Exaone4_5_ForConditionalGeneration(config), processor


@builder
def ernie4_5_vl_moe() -> tuple[Any, Any]:
    from transformers import (
        Ernie4_5_VLMoeConfig,
        Ernie4_5_VLMoeForConditionalGeneration,
        Ernie4_5_VLMoeImageProcessorPil,
        Ernie4_5_VLMoeProcessor,
    )

    words = tokenizer(
        image_token="<|IMAGE_PLACEHOLDER|>",
        image_start_token="<|IMAGE_START|>",
        image_end_token="<|IMAGE_END|>",
        video_token="<|VIDEO_PLACEHOLDER|>",
        video_start_token="<|VIDEO_START|>",
        video_end_token="<|VIDEO_END|>",
    )
    config = Ernie4_5_VLMoeConfig(
        vision_config={
            "depth": 3,
            "hidden_size": 48,
            "intermediate_size": 64,
            "num_heads": 4,
            "patch_size": 8,
            "spatial_merge_size": 2,
        },
        text_config=TEXT
        | {
            "moe_intermediate_size": [32, 16],
            "moe_k": 2,
            "moe_num_experts": 4,
            "moe_num_shared_experts": 1,
            "rope_parameters": ROPE | {"mrope_section": [3, 3, 2]},
        },
        **{
            f"{kind}_{which}token_id": getattr(words, f"{kind}_{which}token_id")
            for kind in ("image", "video")
            for which in ("", "start_", "end_")
        },
    )
    pictures = Ernie4_5_VLMoeImageProcessorPil(
        patch_size=8, merge_size=2, size={"shortest_edge": 32 * 32, "longest_edge": 160 * 160}
    )
    chat = template("User: ", "<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>", "Assistant: ")
    processor = image_only(Ernie4_5_VLMoeProcessor)(pictures, words, chat_template=chat)
    return Ernie4_5_VLMoeForConditionalGeneration(config), processor


@builder
def hunyuan_vl() -> tuple[Any, Any]:
    from transformers import (
        HunYuanVLConfig,
        HunYuanVLForConditionalGeneration,
        HunYuanVLImageProcessorPil,
        HunYuanVLProcessor,
    )

    words = tokenizer(image_token="<img>", image_start_token="<img_start>", image_end_token="<img_end>")
    config = HunYuanVLConfig(
        vision_config=VISION
        | {
            "num_key_value_heads": 4,
            "out_hidden_size": 64,
            "text_hidden_size": 64,
            "patch_size": 8,
            "spatial_merge_size": 2,
            "max_image_size": 128,
        },
        text_config=TEXT | {"head_dim": 16},
        image_token_id=words.image_token_id,
        im_start_id=words.image_start_token_id,
        im_end_id=words.image_end_token_id,
    )
    pictures = HunYuanVLImageProcessorPil(
        patch_size=8, merge_size=2, size={"shortest_edge": 32 * 32, "longest_edge": 128 * 128}
    )
    chat = template("User: ", "<img_start><img><img_end>", "Assistant: ")
    return HunYuanVLForConditionalGeneration(config), HunYuanVLProcessor(pictures, words, chat_template=chat)


@builder
def lighton_ocr() -> tuple[Any, Any]:
    from transformers import (
        LightOnOcrConfig,
        LightOnOcrForConditionalGeneration,
        LightOnOcrProcessor,
        PixtralImageProcessorPil,
    )

    words = tokenizer(
        image_token="<|image_pad|>", image_break_token="<|vision_pad|>", image_end_token="<|vision_end|>"
    )
    config = LightOnOcrConfig(
        vision_config=TOWER,
        text_config=TEXT | {"model_type": "qwen3", "head_dim": 16},
        image_token_id=words.image_token_id,
        spatial_merge_size=2,
    )
    pictures = PixtralImageProcessorPil(size={"longest_edge": 96}, patch_size={"height": 8, "width": 8})
    processor = LightOnOcrProcessor(
        pictures,
        words,
        patch_size=8,
        spatial_merge_size=2,
        chat_template=template("user: ", "<|image_pad|>", "assistant: "),
    )
    return LightOnOcrForConditionalGeneration(config), processor
