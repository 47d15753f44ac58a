"""Tiny checkpoints of Gemma's families: square images, which the language model reads both ways."""

from __future__ import annotations

from typing import Any

from tokenizers.processors import TemplateProcessing

from tests.models.hf.builders import TEXT, VISION, builder
from tests.models.hf.words import tokenizer
from workbench.models.hf.processor import image_only

GEMMA = TEXT | {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 24}
"""A language model with a window of attention that is shorter than a prompt."""


def gemma3_with(**settings: Any) -> tuple[Any, Any]:
    """Gemma 3, its image processor so set."""
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessorPil,
        Gemma3Processor,
    )

    words = tokenizer(
        "<start_of_turn>",
        "<end_of_turn>",
        boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
        image_token="<image_soft_token>",
    )
    words.backend_tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", words.bos_token_id)]
    )
    config = Gemma3Config(
        vision_config=VISION | {"image_size": 64, "patch_size": 4, "vision_use_head": False},
        text_config=GEMMA | {"sliding_window_pattern": 2},
        mm_tokens_per_image=16,
        boi_token_index=words.boi_token_id,
        eoi_token_index=words.eoi_token_id,
        image_token_index=words.image_token_id,
    )
    template = (
        "<bos>{% for m in messages %}<start_of_turn>{{ m.role }}\n{% for c in m.content %}"
        "{% if c.type == 'image' %}<start_of_image>{% else %}{{ c.text }}{% endif %}{% endfor %}"
        "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
    )
    pictures = Gemma3ImageProcessorPil(size={"height": 64, "width": 64}, **settings)
    processor = Gemma3Processor(pictures, words, chat_template=template, image_seq_length=16)
    network = Gemma3ForConditionalGeneration(config)
    ends = [words.eos_token_id, words.convert_tokens_to_ids("<end_of_turn>")]
    network.generation_config.eos_token_id = ends
    return network, processor


@builder
def gemma3() -> tuple[Any, Any]:
    return gemma3_with()


@builder
def gemma3_crops() -> tuple[Any, Any]:
    """Wide and tall images are cropped too; what a square is like stays as it is."""
    return gemma3_with(do_pan_and_scan=True, pan_and_scan_min_crop_size=32)


def paligemma_with(text_config: dict[str, Any]) -> tuple[Any, Any]:
    """PaliGemma of the first or the second generation, by its language model."""
    from transformers import (
        PaliGemmaConfig,
        PaliGemmaForConditionalGeneration,
        PaliGemmaProcessor,
        SiglipImageProcessorPil,
    )

    words = tokenizer(image_token="<image>")
    pictures = SiglipImageProcessorPil(size={"height": 48, "width": 48})
    pictures.image_seq_length = 36
    processor = PaliGemmaProcessor(pictures, words)
    config = PaliGemmaConfig(
        vision_config=VISION | {"image_size": 48, "patch_size": 8, "vision_use_head": False},
        text_config=text_config | {"vocab_size": len(words)},
        image_token_index=words.image_token_id,
        projection_dim=64,
        hidden_size=64,
        vocab_size=len(words),
    )
    return PaliGemmaForConditionalGeneration(config), processor


@builder
def paligemma() -> tuple[Any, Any]:
    return paligemma_with(TEXT | {"model_type": "gemma", "head_dim": 16})


@builder
def paligemma2() -> tuple[Any, Any]:
    return paligemma_with(
        GEMMA | {"model_type": "gemma2", "final_logit_softcapping": 3.0, "attn_logit_softcapping": 5.0}
    )


@builder
def gemma4() -> tuple[Any, Any]:
    """Seventy tokens an image, the fewest that its processor makes, each of three by three patches."""
    from transformers import (
        Gemma4AudioFeatureExtractor,
        Gemma4Config,
        Gemma4ForConditionalGeneration,
        Gemma4ImageProcessorPil,
        Gemma4Processor,
    )

    words = tokenizer(
        *("<|turn>", "<turn|>"),
        boi_token="<|image>",
        eoi_token="<image|>",
        image_token="<|image|>",
        boa_token="<|audio>",
        eoa_token="<audio|>",
        audio_token="<|audio|>",
        video_token="<|video|>",
    )
    config = Gemma4Config(
        vision_config=VISION
        | {"num_key_value_heads": 4, "head_dim": 12, "patch_size": 4, "position_embedding_size": 128},
        text_config=GEMMA
        | {
            "global_head_dim": 16,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
            "hidden_size_per_layer_input": 8,
            "vocab_size_per_layer_input": 400,
            "final_logit_softcapping": 3.0,
            "use_bidirectional_attention": "vision",
        },
        image_token_id=words.image_token_id,
        boi_token_id=words.boi_token_id,
        eoi_token_id=words.eoi_token_id,
        audio_token_id=words.audio_token_id,
        boa_token_id=words.boa_token_id,
        eoa_token_index=words.eoa_token_id,
        video_token_id=words.video_token_id,
    )
    template = (
        "<bos>{% for m in messages %}<|turn>{{ m.role }}\n{% for c in m.content %}"
        "{% if c.type == 'image' %}<|image|>{% else %}{{ c.text }}{% endif %}{% endfor %}"
        "<turn|>\n{% endfor %}{% if add_generation_prompt %}<|turn>model\n{% endif %}"
    )
    processor = image_only(Gemma4Processor)(
        Gemma4AudioFeatureExtractor(),
        Gemma4ImageProcessorPil(patch_size=4, max_soft_tokens=70),
        words,
        None,
        chat_template=template,
    )
    return Gemma4ForConditionalGeneration(config), processor
