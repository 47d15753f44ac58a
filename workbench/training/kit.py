"""The network, its tokenizer and its autoencoder as training starts: the shape of pocket-bagel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from workbench.images.scene_language import captions, questions
from workbench.images.scenes import generate
from workbench.models.bagel.autoencoder import Autoencoder
from workbench.models.bagel.config import (
    AutoencoderConfig,
    BagelConfig,
    LanguageConfig,
    ResizeRule,
    VisionConfig,
)
from workbench.models.bagel.embeddings import sincos_table
from workbench.models.bagel.network import Bagel, SpecialTokens
from workbench.training import tokenizer as pocket_tokenizer
from workbench.training.data import TextPacker
from workbench.training.phrases import SYSTEM, all_phrases

SIDE = 96
"""Pixels of a scene; a vision patch covers 8, a latent token 16."""

POCKET = BagelConfig(
    language=LanguageConfig(
        hidden_size=128,
        num_hidden_layers=8,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=352,
        vocab_size=640,
    ),
    vision=VisionConfig(
        hidden_size=128,
        num_hidden_layers=5,
        num_attention_heads=4,
        intermediate_size=512,
        image_size=SIDE,
        patch_size=8,
    ),
    autoencoder=AutoencoderConfig(
        ch=16, ch_mult=(1, 2, 4, 4), num_res_blocks=1, z_channels=16, norm_groups=4, scale=1.0, shift=0.0
    ),
    latent_patch=2,
    latent_side=SIDE // 16,
    vit_resize=ResizeRule(SIDE, 32, 8),
    vae_resize=ResizeRule(SIDE, 32, 16),
    system_prompt=SYSTEM,
    knows="procedural scenes of one to four coloured, textured objects, some with a handwritten digit",
)


@dataclass(frozen=True)
class Kit:
    """Everything that is trained or used in training."""

    network: Bagel
    autoencoder: Autoencoder
    tokenizer: Any
    special: SpecialTokens
    packer: TextPacker


def corpus(scenes: int) -> list[str]:
    """Every kind of sentence that training shows, from the first `scenes` training scenes."""
    batch, rng = generate(np.arange(scenes), "train"), np.random.default_rng(0)
    texts = list(all_phrases())
    for i in range(len(batch)):
        texts += captions(batch, i, rng)
        for question in questions(batch, i, rng):
            texts += [question.text, question.answer]
    return texts


def build(folder: Path, config: BagelConfig = POCKET, seed: int = 0) -> Kit:
    """A freshly initialised kit; the same seed gives the same weights.

    The tokenizer is fitted once for a training `folder` and kept there: weights are nothing without their ids.
    """
    torch.manual_seed(seed)
    network, autoencoder = Bagel(config), Autoencoder(config.autoencoder)
    _initialise(network)
    if not (folder / pocket_tokenizer.FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        pocket_tokenizer.save(pocket_tokenizer.fit(corpus(1000), config.language.vocab_size), folder)
    tokenizer = pocket_tokenizer.load(folder)
    special = SpecialTokens(*(tokenizer.token_to_id(name) for name in pocket_tokenizer.SPECIALS))
    return Kit(network, autoencoder, tokenizer, special, TextPacker(tokenizer, special))


def _initialise(network: Bagel) -> None:
    depth = (2 * network.config.language.num_hidden_layers) ** 0.5
    for name, p in network.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(p)
        elif p.ndim == 2:
            writes = name.endswith(("o_proj.weight", "down_proj.weight", "out_proj.weight", "fc2.weight"))
            nn.init.normal_(p, std=p.shape[1] ** -0.5 / (depth if writes and ".layers." in name else 1))
    nn.init.normal_(network.language_model.model.embed_tokens.weight, std=0.2)
    nn.init.normal_(network.language_model.lm_head.weight, std=0.02)
    network.vit_pos_embed.reset()
    network.latent_pos_embed.reset()
    tower = network.vit_model.vision_model.embeddings.position_embedding.weight
    with torch.no_grad():
        tower.copy_(0.5 * sincos_table(network.config.vision.side, network.config.vision.hidden_size))
