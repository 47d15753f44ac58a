"""Tiny checkpoints of models that draw as well as look, and of one from before them."""

from __future__ import annotations

from typing import Any

from tests.models.hf.builders import TEXT, VISION, builder
from tests.models.hf.words import tokenizer

CODES = 64
"""Words for images in the vocabulary of a model that has a tokeniser for images."""
TOKENISER = {
    "base_channels": 32,
    "channel_multiplier": [1, 1, 1, 1],
    "num_res_blocks": 1,
    "embed_dim": 16,
    "latent_channels": 32,
}
"""A convolutional tokeniser that makes one word of 8 by 8 pixels."""
DEEPSEEK = (
    "{% for m in messages %}<|User|>: {% for c in m.content %}{% if c.type == 'image' %}"
    "<image_placeholder>\n{% else %}{{ c.text }}{% endif %}{% endfor %}\n\n{% endfor %}"
    "{% if add_generation_prompt %}<|Assistant|>:{% endif %}"
)


@builder
def janus() -> tuple[Any, Any]:
    from transformers import (
        JanusConfig,
        JanusForConditionalGeneration,
        JanusImageProcessorPil,
        JanusProcessor,
    )

    words = tokenizer(image_token="<image_placeholder>", boi_token="<begin>", eoi_token="<end>")
    config = JanusConfig(
        vision_config={
            "hidden_size": 48,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "image_size": 48,
            "patch_size": 8,
            "mlp_ratio": 2,
            "projection_dim": 64,
            "num_image_tokens": 36,
        },
        text_config=TEXT | {"model_type": "llama"},
        vq_config=TOKENISER
        | {"num_embeddings": CODES, "num_patches": 6, "projection_dim": 64, "image_token_embed_dim": 64},
        image_token_id=words.image_token_id,
    )
    pictures = JanusImageProcessorPil(size={"height": 48, "width": 48}, min_size=4)
    processor = JanusProcessor(pictures, words, chat_template=DEEPSEEK, num_image_tokens=36)
    return JanusForConditionalGeneration(config), processor


@builder
def deepseek_vl() -> tuple[Any, Any]:
    from transformers import (
        DeepseekVLConfig,
        DeepseekVLForConditionalGeneration,
        DeepseekVLImageProcessorPil,
        DeepseekVLProcessor,
    )

    words = tokenizer(image_token="<image_placeholder>")
    config = DeepseekVLConfig(
        vision_config=VISION | {"image_size": 48, "patch_size": 8, "vision_use_head": False},
        text_config=TEXT | {"model_type": "llama"},
        image_token_id=words.image_token_id,
    )
    pictures = DeepseekVLImageProcessorPil(size={"height": 48, "width": 48}, min_size=4)
    processor = DeepseekVLProcessor(pictures, words, chat_template=DEEPSEEK, num_image_tokens=36)
    return DeepseekVLForConditionalGeneration(config), processor


@builder
def emu3() -> tuple[Any, Any]:
    from transformers import Emu3Config, Emu3ForConditionalGeneration, Emu3ImageProcessor, Emu3Processor

    words = tokenizer(
        *(f"<|visual token {i:06d}|>" for i in range(CODES)),
        "<|extra_200|>",
        image_token="<image>",
        boi_token="<|image start|>",
        eoi_token="<|image end|>",
        image_wrapper_token="<|image token|>",
        eof_token="<|extra_201|>",
    )
    config = Emu3Config(
        vq_config=TOKENISER
        | {"codebook_size": CODES, "attn_resolutions": [3], "hidden_size": 32, "embed_dim": 32},
        text_config=TEXT,
        vocabulary_map=words.get_vocab(),
    )
    pictures = Emu3ImageProcessor(min_pixels=32 * 32, max_pixels=64 * 64, spatial_factor=8)
    template = (
        "{% for m in messages %}{{ m.role }}: {% for c in m.content %}{% if c.type == 'image' %}<image>"
        "{% else %}{{ c.text }}{% endif %}{% endfor %}{% endfor %}"
        "{% if add_generation_prompt %} assistant:{% endif %}"
    )
    return Emu3ForConditionalGeneration(config), Emu3Processor(pictures, words, chat_template=template)


@builder
def chameleon() -> tuple[Any, Any]:
    from transformers import (
        ChameleonConfig,
        ChameleonForConditionalGeneration,
        ChameleonImageProcessorPil,
        ChameleonProcessor,
    )

    def name(code: int) -> str:
        return "IMGIMG" + "".join(chr(ord("A") + int(digit)) for digit in str(code)) + "Z"

    words = tokenizer(
        *(name(code) for code in range(CODES)),
        "<racm3:break>",
        "<eoss>",
        "<reserved08706>",
        image_token="<image>",
    )
    words.sep_token = "<reserved08706>"
    config = ChameleonConfig(
        **TEXT,
        vq_config=TOKENISER | {"num_embeddings": CODES, "resolution": 64},
        vocabulary_map=words.get_vocab(),
    )
    pictures = ChameleonImageProcessorPil(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    return ChameleonForConditionalGeneration(config), ChameleonProcessor(pictures, words, image_seq_length=64)
