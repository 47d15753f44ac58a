"""Image-text-to-text models of transformers that cannot be measured here, with the reason for each."""

from __future__ import annotations

from typing import Any

from workbench.errors import Refusal

QUERIES = (
    "hands the language model learned queries that each look at the whole image, so its visual tokens stand "
    "for no place on it"
)
CROSS = (
    "shows the image to its language layers by cross-attention, so no visual token stands in their sequence "
    "and there is no state of one to follow"
)
ENCODER = (
    "reads the image with an encoder and answers with a decoder that looks across at it, so its visual "
    "tokens never stand in the layers that its answer is read from"
)
STREAMS = (
    "keeps several residual streams side by side between its language layers, so a token has no one hidden "
    "state there"
)
TIMM = "has a tower from the package timm, which the workbench neither installs nor knows the blocks of"
PAGES = "takes pages of documents through a processor of its own, not a prompt with images in it"
REASONS = {
    "aria": QUERIES,
    "blip": CROSS,
    "blip-2": QUERIES,
    "deepseek_ocr2": QUERIES,
    "diffusion_gemma": "writes its answer by diffusion, so no logits of a next token can be read",
    "evolla": "answers questions about proteins, not about images",
    "fast_vlm": TIMM,
    "florence2": ENCODER,
    "gemma3n": TIMM,
    "fuyu": "puts every image before the text by itself, on a canvas of a size of its own",
    "git": "puts its visual tokens before the text without naming them among the prompt's tokens",
    "glm5_next": STREAMS,
    "got_ocr2": PAGES,
    "granite4_vision": (
        "hands the language model queries that each look at a window of the image, at several layers, so its "
        "visual tokens do not each stand for a place of their own"
    ),
    "hunyuan_vl": (
        "numbers the images of a whole batch one after the other, so what it computes for an image depends "
        "on those shown beside it"
    ),
    "idefics": CROSS,
    "idefics2": QUERIES,
    "instructblip": QUERIES,
    "instructblipvideo": QUERIES,
    "kosmos-2": QUERIES,
    "kosmos-2.5": QUERIES,
    "mistral4": "is a language model alone, without a tower for images",
    "mllama": CROSS,
    "perception_lm": TIMM,
    "pi0": "answers with the movements of a robot, not with words",
    "pix2struct": ENCODER,
    "pp_chart2table": PAGES,
    "pp_formulanet": ENCODER,
    "qwen4_exp": STREAMS,
    "shieldgemma2": "answers whether an image keeps to a policy, asked by its processor in words of its own",
    "t5gemma2": ENCODER,
    "udop": ENCODER,
    "vision-encoder-decoder": ENCODER,
}
"""By model type, what such a model does that the workbench cannot follow."""


def demand_known_way(config: Any) -> None:
    """Raise Refusal, with the reason, where the models of this configuration's type cannot be measured."""
    if reason := REASONS.get(config.model_type):
        raise Refusal(
            f"{config.model_type} {reason}. It is not opened: docs/models.md lists the models that are."
        )
