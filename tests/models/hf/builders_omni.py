"""Tiny checkpoints of models that also hear and speak: of those, the part that sees and answers."""

from __future__ import annotations

from typing import Any

from tests.models.hf.builders import TEXT, builder
from tests.models.hf.builders_native import ROPE, VISION_3, qwen_pictures, template
from tests.models.hf.words import tokenizer
from workbench.models.hf.processor import image_only

OMNI = template("user: ", "<|vision_bos|><|IMAGE|><|vision_eos|>", "assistant: ")
EARS = {
    "num_mel_bins": 16,
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "d_model": 32,
    "output_dim": 64,
}


def omni_words() -> Any:
    """A tokenizer with the marks of the omni models."""
    return tokenizer(
        image_token="<|IMAGE|>",
        audio_token="<|AUDIO|>",
        video_token="<|VIDEO|>",
        vision_bos_token="<|vision_bos|>",
        vision_eos_token="<|vision_eos|>",
        audio_bos_token="<|audio_bos|>",
        audio_eos_token="<|audio_eos|>",
    )


def ears() -> Any:
    """What makes sounds into input; the processors want one, and no image has any."""
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor(feature_size=16)


def thinker_vision() -> dict[str, Any]:
    """A tower that attends in windows, but for one block."""
    return {
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
    }


def thinker_2_5(words: Any) -> dict[str, Any]:
    """What shapes a tiny thinker of Qwen2.5-Omni."""
    return {
        "vision_config": thinker_vision(),
        "audio_config": EARS,
        "text_config": TEXT | {"rope_parameters": ROPE, "layer_types": ["full_attention"] * 3},
        "image_token_index": words.image_token_id,
        "audio_token_index": words.audio_token_id,
        "video_token_index": words.video_token_id,
        "audio_start_token_id": words.audio_bos_token_id,
        "audio_end_token_id": words.audio_eos_token_id,
        "vision_start_token_id": words.vision_bos_token_id,
        "vision_end_token_id": words.vision_eos_token_id,
        "pad_token_id": 0,
    }


@builder
def qwen2_5_omni_thinker() -> tuple[Any, Any]:
    from transformers import (
        Qwen2_5OmniProcessor,
        Qwen2_5OmniThinkerConfig,
        Qwen2_5OmniThinkerForConditionalGeneration,
    )

    words = omni_words()
    processor = image_only(Qwen2_5OmniProcessor)(qwen_pictures(), ears(), words, chat_template=OMNI)
    config = Qwen2_5OmniThinkerConfig(**thinker_2_5(words))
    return Qwen2_5OmniThinkerForConditionalGeneration(config), processor


@builder
def qwen3_omni_moe_thinker() -> tuple[Any, Any]:
    from transformers import (
        Qwen3OmniMoeProcessor,
        Qwen3OmniMoeThinkerConfig,
        Qwen3OmniMoeThinkerForConditionalGeneration,
    )

    words = omni_words()
    experts = {"moe_intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 2}
    config = Qwen3OmniMoeThinkerConfig(
        vision_config=VISION_3,
        audio_config=EARS | {"downsample_hidden_size": 16},
        text_config=TEXT | experts | {"head_dim": 16, "rope_parameters": ROPE | {"mrope_interleaved": True}},
        image_token_id=words.image_token_id,
        audio_token_id=words.audio_token_id,
        video_token_id=words.video_token_id,
        audio_start_token_id=words.audio_bos_token_id,
        vision_start_token_id=words.vision_bos_token_id,
        vision_end_token_id=words.vision_eos_token_id,
    )
    processor = image_only(Qwen3OmniMoeProcessor)(qwen_pictures(), ears(), words, chat_template=OMNI)
    return Qwen3OmniMoeThinkerForConditionalGeneration(config), processor
