"""Tiny checkpoints of the latest families that read an image at its own resolution."""

from __future__ import annotations

from typing import Any

from tests.models.hf.builders import TEXT, VISION, builder
from tests.models.hf.builders_native import (
    LINEAR,
    QWEN,
    ROPE,
    VISION_3,
    qwen_ids,
    qwen_pictures,
    qwen_words,
    template,
)
from tests.models.hf.builders_omni import thinker_vision
from tests.models.hf.builders_plain import chat, minicpm_words
from tests.models.hf.words import tokenizer
from workbench.models.hf.processor import image_only


@builder
def lfm3_vl() -> tuple[Any, Any]:
    from transformers import Lfm3VlConfig, Lfm3VlForConditionalGeneration, Lfm3VlProcessor

    words = qwen_words()
    config = Lfm3VlConfig(
        vision_config=VISION
        | {
            "num_key_value_heads": 2,
            "patch_size": 8,
            "layer_types": ["full_attention", "conv", "full_attention"],
        },
        text_config=TEXT
        | {
            "head_dim": 16,
            "sliding_window": 24,
            "layer_types": ["conv", "sliding_attention", "full_attention"],
        },
        projector_hidden_size=96,
        **qwen_ids(words),
    )
    processor = image_only(Lfm3VlProcessor)(qwen_pictures(), words, chat_template=QWEN)
    return Lfm3VlForConditionalGeneration(config), processor


@builder
def hyperclovax_vision_v2() -> tuple[Any, Any]:
    """With the tower of Qwen2.5-VL, windows and all, and a language model that scales its logits."""
    from transformers import (
        HyperCLOVAXVisionV2Config,
        HyperCLOVAXVisionV2ForConditionalGeneration,
        HyperCLOVAXVisionV2Processor,
    )

    words = qwen_words()
    config = HyperCLOVAXVisionV2Config(
        vision_config=thinker_vision(),
        text_config=TEXT | {"logits_scaling": 2.0, "embedding_multiplier": 1.5, "residual_multiplier": 0.7},
        image_token_id=words.image_token_id,
        video_token_id=words.video_token_id,
    )
    processor = image_only(HyperCLOVAXVisionV2Processor)(qwen_pictures(), words, chat_template=QWEN)
    return HyperCLOVAXVisionV2ForConditionalGeneration(config), processor


@builder
def cosmos3_omni() -> tuple[Any, Any]:
    from transformers import Cosmos3OmniConfig, Cosmos3OmniForConditionalGeneration, Qwen3VLProcessor

    words = qwen_words()
    config = Cosmos3OmniConfig(
        vision_config=VISION_3,
        text_config=TEXT | {"head_dim": 16, "rope_parameters": ROPE | {"mrope_interleaved": True}},
        **qwen_ids(words),
    )
    processor = image_only(Qwen3VLProcessor)(qwen_pictures(), words, chat_template=QWEN)
    return Cosmos3OmniForConditionalGeneration(config), processor


@builder
def dots3_note() -> tuple[Any, Any]:
    from transformers import (
        Dots3NoteConfig,
        Dots3NoteFeatureExtractor,
        Dots3NoteForConditionalGeneration,
        Dots3NoteProcessor,
    )

    words = tokenizer("<|img|>", "<|endofimg|>", "<|imgpad|>", "<|video_pad|>", "<|audio_comp_pad|>")
    ids = words.convert_tokens_to_ids
    config = Dots3NoteConfig(
        vision_config=VISION
        | {
            "patch_size": 8,
            "moe_intermediate_size": 32,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "mlp_layer_types": ["dense", "sparse", "sparse"],
            "adapter_in_dim": 48,
            "adapter_out_dim": 64,
        },
        audio_config={
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "feature_size": 16,
            "downsample_hidden_size": 16,
            "adapter_input_size": 32,
            "adapter_out_dim": 64,
        },
        text_config=TEXT
        | {
            "num_key_value_heads": 4,
            "moe_intermediate_size": 32,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "kv_lora_rank": 16,
            "q_lora_rank": 16,
            "qk_rope_head_dim": 8,
            "qk_nope_head_dim": 8,
            "v_head_dim": 16,
            "head_dim": 16,
            "index_topk": 4096,
            "index_head_dim": 16,
            "index_n_heads": 2,
            "shared_experts_intermediate_size": 32,
        },
        image_token_id=ids("<|imgpad|>"),
        video_token_id=ids("<|video_pad|>"),
        audio_token_id=ids("<|audio_comp_pad|>"),
    )
    chat_template = template("user: ", "<|img|><|imgpad|><|endofimg|>", "assistant: ")
    pictures = qwen_pictures(frames=1)
    hearing = Dots3NoteFeatureExtractor(feature_size=16)
    processor = image_only(Dots3NoteProcessor)(
        pictures, words, feature_extractor=hearing, chat_template=chat_template
    )
    return Dots3NoteForConditionalGeneration(config), processor


@builder
def minicpmv4_7() -> tuple[Any, Any]:
    from transformers import (
        MiniCPMV4_6ImageProcessorPil,
        MiniCPMV4_7Config,
        MiniCPMV4_7ForConditionalGeneration,
        MiniCPMV4_7Processor,
    )

    words = minicpm_words()
    config = MiniCPMV4_7Config(
        vision_config=VISION | {"image_size": 64, "patch_size": 4},
        insert_layer_id=1,
        text_config=TEXT | LINEAR | {"model_type": "qwen3_5_text"},
        image_token_id=words.image_token_id,
        video_token_id=words.video_token_id,
    )
    pictures = MiniCPMV4_6ImageProcessorPil(patch_size=4, scale_resolution=48, max_slice_nums=6)
    processor = image_only(MiniCPMV4_7Processor)(
        image_processor=pictures, tokenizer=words, chat_template=chat("<|image_pad|>")
    )
    return MiniCPMV4_7ForConditionalGeneration(config), processor
