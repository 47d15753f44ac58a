"""Tiny checkpoints of families that read an image at its own resolution, as one grid of patches."""

from __future__ import annotations

from typing import Any

from tests.models.hf.builders import TEXT, builder
from tests.models.hf.words import tokenizer
from workbench.models.hf.processor import image_only

ROPE = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]}
"""Rotary positions along time, height and width; the sections add up to half a head."""


def template(before: str, image: str, after: str) -> str:
    """A chat template with these marks around a user's turn and for an image."""
    return (
        "{% for m in messages %}" + before + "{% for c in m.content %}{% if c.type == 'image' %}" + image + ""
        "{% else %}{{ c.text }}{% endif %}{% endfor %}\n{% endfor %}"
        "{% if add_generation_prompt %}" + after + "{% endif %}"
    )


QWEN = template("user: ", "<|vision_start|><|image_pad|><|vision_end|>", "assistant: ")
GLM = template("<|user|>", "<|begin_of_image|><|image|><|end_of_image|>", "<|assistant|>")


def qwen_words() -> Any:
    """A tokenizer with the marks of the Qwen models."""
    return tokenizer(
        "<|vision_start|>", "<|vision_end|>", image_token="<|image_pad|>", video_token="<|video_pad|>"
    )


def qwen_ids(words: Any) -> dict[str, int]:
    """What the configurations of the Qwen models say about tokens."""
    return {
        "image_token_id": words.image_token_id,
        "video_token_id": words.video_token_id,
        "vision_start_token_id": words.convert_tokens_to_ids("<|vision_start|>"),
        "vision_end_token_id": words.convert_tokens_to_ids("<|vision_end|>"),
    }


def qwen_pictures(frames: int = 2) -> Any:
    """The Qwen models' image processor, for patches of 8 pixels and so many frames of a video."""
    from transformers import Qwen2VLImageProcessorPil

    return Qwen2VLImageProcessorPil(
        patch_size=8, merge_size=2, temporal_patch_size=frames, min_pixels=32 * 32, max_pixels=160 * 160
    )


@builder
def qwen2_vl() -> tuple[Any, Any]:
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor

    words = qwen_words()
    config = Qwen2VLConfig(
        vision_config={
            "depth": 3,
            "embed_dim": 48,
            "hidden_size": 64,
            "num_heads": 4,
            "mlp_ratio": 2,
            "patch_size": 8,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        text_config=TEXT | {"rope_parameters": ROPE},
        **qwen_ids(words),
    )
    processor = image_only(Qwen2VLProcessor)(qwen_pictures(), words, chat_template=QWEN)
    return Qwen2VLForConditionalGeneration(config), processor


VISION_3 = {
    "depth": 3,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_heads": 4,
    "out_hidden_size": 64,
    "patch_size": 8,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "num_position_embeddings": 36,
    "deepstack_visual_indexes": [0, 1, 2],
}
"""A tower whose every block adds to a layer of the language model: to all there are, the last included."""


@builder
def qwen3_vl() -> tuple[Any, Any]:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor

    words = qwen_words()
    config = Qwen3VLConfig(
        vision_config=VISION_3,
        text_config=TEXT | {"head_dim": 16, "rope_parameters": ROPE | {"mrope_interleaved": True}},
        **qwen_ids(words),
    )
    processor = image_only(Qwen3VLProcessor)(qwen_pictures(), words, chat_template=QWEN)
    return Qwen3VLForConditionalGeneration(config), processor


@builder
def qwen3_vl_moe() -> tuple[Any, Any]:
    from transformers import Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration, Qwen3VLProcessor

    words = qwen_words()
    config = Qwen3VLMoeConfig(
        vision_config=VISION_3,
        text_config=TEXT
        | {
            "head_dim": 16,
            "rope_parameters": ROPE | {"mrope_interleaved": True},
            "moe_intermediate_size": 32,
            "num_experts": 4,
            "num_experts_per_tok": 2,
        },
        **qwen_ids(words),
    )
    processor = image_only(Qwen3VLProcessor)(qwen_pictures(), words, chat_template=QWEN)
    return Qwen3VLMoeForConditionalGeneration(config), processor


LINEAR = {
    "head_dim": 16,
    "rope_parameters": ROPE
    | {"mrope_interleaved": True, "mrope_section": [1, 1, 0], "partial_rotary_factor": 0.25},
    "layer_types": ["linear_attention", "linear_attention", "full_attention"],
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
}
"""A language model whose layers mostly keep a state instead of attending to all that was."""


@builder
def qwen3_5() -> tuple[Any, Any]:
    from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration, Qwen3VLProcessor

    words = qwen_words()
    vision = {name: value for name, value in VISION_3.items() if name != "deepstack_visual_indexes"}
    config = Qwen3_5Config(vision_config=vision, text_config=TEXT | LINEAR, **qwen_ids(words))
    processor = image_only(Qwen3VLProcessor)(qwen_pictures(), words, chat_template=QWEN)
    return Qwen3_5ForConditionalGeneration(config), processor


@builder
def qwen3_5_moe() -> tuple[Any, Any]:
    from transformers import Qwen3_5MoeConfig, Qwen3_5MoeForConditionalGeneration, Qwen3VLProcessor

    words = qwen_words()
    vision = {name: value for name, value in VISION_3.items() if name != "deepstack_visual_indexes"}
    experts = {
        "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 32,
        "num_experts": 4,
        "num_experts_per_tok": 2,
    }
    config = Qwen3_5MoeConfig(vision_config=vision, text_config=TEXT | LINEAR | experts, **qwen_ids(words))
    processor = image_only(Qwen3VLProcessor)(qwen_pictures(), words, chat_template=QWEN)
    return Qwen3_5MoeForConditionalGeneration(config), processor


GLM_VISION = {
    "depth": 3,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_heads": 4,
    "out_hidden_size": 64,
    "image_size": 48,
    "patch_size": 8,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}
GLM_ROPE = ROPE | {"mrope_section": [1, 1, 2], "partial_rotary_factor": 0.5}


def glm_words() -> Any:
    """A tokenizer with the marks of the GLM models."""
    return tokenizer(
        *("<|user|>", "<|assistant|>", "<|begin_of_image|>", "<|end_of_image|>"),
        *("<|begin_of_video|>", "<|end_of_video|>"),
        image_token="<|image|>",
        video_token="<|video|>",
    )


def glm_ids(words: Any) -> dict[str, int]:
    """What the configurations of the GLM models say about tokens."""
    ids = words.convert_tokens_to_ids
    return {
        "image_token_id": words.image_token_id,
        "video_token_id": words.video_token_id,
        "image_start_token_id": ids("<|begin_of_image|>"),
        "image_end_token_id": ids("<|end_of_image|>"),
        "video_start_token_id": ids("<|begin_of_video|>"),
        "video_end_token_id": ids("<|end_of_video|>"),
    }


def glm_pictures(cls: Any) -> Any:
    """A GLM image processor, for patches of 8 pixels."""
    return cls(
        patch_size=8,
        merge_size=2,
        temporal_patch_size=2,
        size={"shortest_edge": 32 * 32, "longest_edge": 2 * 160 * 160},
    )


@builder
def glm4v() -> tuple[Any, Any]:
    from transformers import (
        Glm4vConfig,
        Glm4vForConditionalGeneration,
        Glm4vImageProcessorPil,
        Glm4vProcessor,
    )

    words = glm_words()
    config = Glm4vConfig(
        vision_config=GLM_VISION, text_config=TEXT | {"rope_parameters": GLM_ROPE}, **glm_ids(words)
    )
    processor = image_only(Glm4vProcessor)(glm_pictures(Glm4vImageProcessorPil), words, chat_template=GLM)
    return Glm4vForConditionalGeneration(config), processor


@builder
def glm46v() -> tuple[Any, Any]:
    from transformers import (
        Glm46VConfig,
        Glm46VForConditionalGeneration,
        Glm46VImageProcessorPil,
        Glm46VProcessor,
    )

    words = glm_words()
    config = Glm46VConfig(
        vision_config=GLM_VISION | {"model_type": "glm4v_vision"},
        text_config=TEXT | {"model_type": "glm4v_text", "rope_parameters": GLM_ROPE},
        **glm_ids(words),
    )
    processor = image_only(Glm46VProcessor)(glm_pictures(Glm46VImageProcessorPil), words, chat_template=GLM)
    return Glm46VForConditionalGeneration(config), processor


@builder
def glm4v_moe() -> tuple[Any, Any]:
    from transformers import (
        Glm4vImageProcessorPil,
        Glm4vMoeConfig,
        Glm4vMoeForConditionalGeneration,
        Glm4vProcessor,
    )

    words = glm_words()
    config = Glm4vMoeConfig(
        vision_config=GLM_VISION,
        text_config=TEXT
        | {
            "rope_parameters": GLM_ROPE,
            "moe_intermediate_size": 32,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
        },
        **glm_ids(words),
    )
    processor = image_only(Glm4vProcessor)(glm_pictures(Glm4vImageProcessorPil), words, chat_template=GLM)
    return Glm4vMoeForConditionalGeneration(config), processor
