"""What the capture benchmark looks into: a Qwen2.5-VL with random weights, and a prompt of a given size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.models.hf.adapter import HFModel
from workbench.models.hf.families import family_of
from workbench.models.hf.kernels import watch_kernels
from workbench.models.protocol import Capability, ModelCard, Prompt

QUESTION, ANSWER = 16, 32
"""Tokens of text after the image: those of a question, and those of an answer, whose rows are asked for."""
GRIDS = {16: (4, 4), 576: (24, 24), 950: (25, 38), 1200: (30, 40), 4096: (64, 64)}
"""Rows and columns of the visual tokens that the language model reads, by how many they are; 950 are a
prompt of 1,000 tokens."""


@dataclass(frozen=True)
class Size:
    """Dimensions of a Qwen2.5-VL; heads have 128 numbers in the language model, as published."""

    width: int
    layers: int
    heads: int
    key_heads: int
    inside: int
    vocabulary: int
    vision_width: int
    vision_layers: int
    vision_heads: int
    vision_inside: int
    vision_full: tuple[int, ...]
    """Blocks of the tower that attend to the whole image; the others to windows."""


SIZES = {
    "tiny": Size(256, 2, 2, 1, 256, 1000, 64, 2, 2, 96, (1,)),
    "small": Size(1024, 8, 8, 2, 2816, 1000, 256, 4, 4, 512, (3,)),
    "deep": Size(1024, 24, 8, 2, 2816, 1000, 256, 4, 4, 512, (3,)),
    "7b": Size(3584, 28, 28, 4, 18944, 152064, 1280, 32, 16, 3420, (7, 15, 23, 31)),
}
"""tiny: to try it; small: about 0.4 GB of weights in float32; deep: 24 layers of
the same width; 7b: those of Qwen2.5-VL-7B."""


@dataclass(frozen=True)
class Subject:
    """An open model, a prompt for it that ends in an answer, and where the answer's tokens stand, int64."""

    model: HFModel
    prompt: Prompt
    rows: Tensor


def open_random(size: Size, device: str, dtype: torch.dtype) -> HFModel:
    """A Qwen2.5-VL of this size as the workbench opens one, with seeded random weights, and one word."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
    from transformers.utils import logging

    logging.set_verbosity_error()  # It warns that sdpa returns no attention, also where eager is asked for.
    watch_kernels()
    config = Qwen2_5_VLConfig(
        vision_config={
            "depth": size.vision_layers,
            "hidden_size": size.vision_width,
            "intermediate_size": size.vision_inside,
            "num_heads": size.vision_heads,
            "out_hidden_size": size.width,
            "fullatt_block_indexes": list(size.vision_full),
        },
        text_config={
            "hidden_size": size.width,
            "num_hidden_layers": size.layers,
            "num_attention_heads": size.heads,
            "num_key_value_heads": size.key_heads,
            "intermediate_size": size.inside,
            "vocab_size": size.vocabulary,
            "bos_token_id": 0,
            "eos_token_id": 0,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
        },
        image_token_id=3,
        video_token_id=4,
        vision_start_token_id=1,
        vision_end_token_id=2,
    )
    torch.manual_seed(0)
    kept = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            network: Any = Qwen2_5_VLForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(kept)
    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"word": 0}, "word")))
    family = family_of(config)(network.eval().requires_grad_(False), words)
    card = ModelCard(
        id="random Qwen2.5-VL",
        family=config.model_type,
        folder=Path(),
        revision="random",
        parameters=sum(p.numel() for p in network.parameters()),
        dtype=str(dtype).removeprefix("torch."),
        device=device,
        attention=str(config.get_text_config()._attn_implementation),
        processor={},
        vision_layers=size.vision_layers,
        llm_layers=size.layers,
        width=size.width,
        capabilities=frozenset({Capability.HIDDEN_STATES, Capability.ATTENTION}),
        licence="",
        knows="nothing",
    )
    return HFModel(family, card)


def subject(model: HFModel, visual: int) -> Subject:
    """The model with a prompt of so many visual tokens, a key of GRIDS: image, question, answer."""
    rows, cols = GRIDS[visual]
    config, network = model.network.config, model.network
    vision, device = config.vision_config, network.device
    generator = torch.Generator().manual_seed(0)
    numbers = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    patches = torch.randn(4 * visual, numbers, generator=generator)
    text = torch.randint(5, config.get_text_config().vocab_size, (QUESTION + ANSWER,), generator=generator)
    image = torch.full((visual,), config.image_token_id)
    frame = torch.tensor([config.vision_start_token_id, config.vision_end_token_id])
    ids = torch.cat([frame[:1], image, frame[1:], text])[None]
    side = vision.patch_size * vision.spatial_merge_size
    inputs = {
        "input_ids": ids.to(device),
        "attention_mask": torch.ones_like(ids).to(device),
        "mm_token_type_ids": (ids == config.image_token_id).int().to(device),
        "pixel_values": patches.to(device, network.dtype),
        "image_grid_thw": torch.tensor([[1, 2 * rows, 2 * cols]], device=device),
    }
    size = (rows * side, cols * side)
    (view,) = model.family.views(inputs, [size])
    prompt = Prompt([np.zeros((*size, 3), np.uint8)], "", view.grid, inputs, view.positions.to(device))
    return Subject(model, prompt, torch.arange(ids.shape[1] - ANSWER, ids.shape[1], device=device))
