"""Tiny checkpoints of more families that read an image at its own resolution, several for documents."""

from __future__ import annotations

from typing import Any

from tests.models.hf.builders import TEXT, VISION, builder
from tests.models.hf.builders_native import (
    GLM,
    GLM_ROPE,
    GLM_VISION,
    QWEN,
    ROPE,
    VISION_3,
    glm_ids,
    glm_pictures,
    glm_words,
    qwen_ids,
    qwen_pictures,
    qwen_words,
    template,
)
from tests.models.hf.builders_pixtral import TOWER, pixtral
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


@builder
def mistral_large4() -> tuple[Any, Any]:
    from transformers import MistralLarge4Config, MistralLarge4ForConditionalGeneration

    words, processor = pixtral(merge=2)
    config = MistralLarge4Config(
        vision_config=TOWER,
        text_config=TEXT
        | {
            "num_key_value_heads": 4,
            "moe_intermediate_size": 32,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "kv_lora_rank": 16,
            "qk_rope_head_dim": 8,
            "qk_nope_head_dim": 8,
            "v_head_dim": 16,
        },
        image_token_index=words.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
    )
    return MistralLarge4ForConditionalGeneration(config), processor


@builder
def glmga() -> tuple[Any, Any]:
    from transformers import (
        Glm46VForConditionalGeneration,
        Glm46VProcessor,
        GlmgaConfig,
        GlmgaImageProcessorPil,
    )

    words = glm_words()
    config = GlmgaConfig(
        vision_config=GLM_VISION | {"model_type": "glm4v_vision"},
        text_config=TEXT | {"model_type": "glm4v_text", "rope_parameters": GLM_ROPE},
        **glm_ids(words),
    )
    processor = image_only(Glm46VProcessor)(glm_pictures(GlmgaImageProcessorPil), words, chat_template=GLM)
    return Glm46VForConditionalGeneration(config), processor


@builder
def cohere_compass() -> tuple[Any, Any]:
    from transformers import (
        CohereCompassConfig,
        CohereCompassForConditionalGeneration,
        CohereCompassImageProcessorPil,
        CohereCompassProcessor,
    )

    words = tokenizer(
        vision_start_token="<|VISION_START|>",
        vision_end_token="<|VISION_END|>",
        image_token="<|IMAGE_PAD|>",
        video_token="<|VIDEO_PAD|>",
    )
    config = CohereCompassConfig(
        vision_config=VISION_3,
        text_config=TEXT
        | {"head_dim": 16, "rope_parameters": {"full_attention": ROPE | {"mrope_interleaved": True}}},
        image_token_id=words.image_token_id,
        video_token_id=words.video_token_id,
        vision_start_token_id=words.vision_start_token_id,
        vision_end_token_id=words.vision_end_token_id,
    )
    pictures = CohereCompassImageProcessorPil(
        patch_size=8, merge_size=2, size={"shortest_edge": 32 * 32, "longest_edge": 160 * 160}
    )
    chat = template("user: ", "<|VISION_START|><|IMAGE_PAD|><|VISION_END|>", "assistant: ")
    processor = image_only(CohereCompassProcessor)(pictures, words, chat_template=chat)
    return CohereCompassForConditionalGeneration(config), processor


@builder
def cosmos3_edge() -> tuple[Any, Any]:
    from transformers import (
        Cosmos3EdgeConfig,
        Cosmos3EdgeForConditionalGeneration,
        Cosmos3EdgeImageProcessorPil,
        Cosmos3EdgeProcessor,
    )

    words = qwen_words()
    config = Cosmos3EdgeConfig(
        vision_config=VISION | {"patch_size": 8, "num_patches": 36, "spatial_merge_size": 2},
        text_config=TEXT | {"head_dim": 16, "rope_parameters": ROPE},
        projector_hidden_size=96,
        **qwen_ids(words),
    )
    pictures = Cosmos3EdgeImageProcessorPil(
        patch_size=8, merge_size=2, size={"shortest_edge": 32 * 32, "longest_edge": 160 * 160}
    )
    processor = image_only(Cosmos3EdgeProcessor)(pictures, words, chat_template=QWEN)
    return Cosmos3EdgeForConditionalGeneration(config), processor
