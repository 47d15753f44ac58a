"""Tiny checkpoints with a Pixtral tower: rows of tokens that end in breaks, merged or not."""

from __future__ import annotations

from typing import Any

from tests.models.hf.builders import TEXT, VISION, builder
from tests.models.hf.words import tokenizer
from workbench.models.hf.processor import pixtral_processor

TEMPLATE = (
    "<bos>{% for m in messages %}[INST]{% for c in m.content %}{% if c.type == 'image' %}[IMG]{% else %}"
    "{{ c.text }}{% endif %}{% endfor %}[/INST]{% endfor %}"
)
TOWER = VISION | {"model_type": "pixtral", "head_dim": 12, "patch_size": 8, "image_size": 128}
"""Positions up to 16 by 16 patches."""


def pixtral(merge: int) -> tuple[Any, Any]:
    """A tokenizer with the marks of the Pixtral models, and their processor for patches of 8 pixels."""
    from transformers import PixtralImageProcessorPil

    words = tokenizer("[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]")
    pictures = PixtralImageProcessorPil(size={"longest_edge": 96}, patch_size={"height": 8, "width": 8})
    processor = pixtral_processor()(
        pictures, words, patch_size=8, spatial_merge_size=merge, chat_template=TEMPLATE
    )
    return words, processor


@builder
def mistral3() -> tuple[Any, Any]:
    from transformers import Mistral3Config, Mistral3ForConditionalGeneration

    words, processor = pixtral(merge=2)
    config = Mistral3Config(
        vision_config=TOWER,
        text_config=TEXT | {"model_type": "mistral", "head_dim": 16},
        image_token_index=words.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
    )
    return Mistral3ForConditionalGeneration(config), processor


@builder
def llava_pixtral() -> tuple[Any, Any]:
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    words, processor = pixtral(merge=1)
    config = LlavaConfig(
        vision_config=TOWER,
        text_config=TEXT | {"model_type": "mistral", "head_dim": 16},
        image_token_index=words.convert_tokens_to_ids("[IMG]"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    return LlavaForConditionalGeneration(config), processor
