"""A BAGEL of a few thousand random numbers, as a folder on disk, and a tongue to put words into its mouth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn

from workbench.models.bagel.adapter import BagelModel
from workbench.models.bagel.autoencoder import Autoencoder
from workbench.models.bagel.config import ResizeRule
from workbench.models.bagel.load import load
from workbench.models.bagel.network import Bagel, Context, SpecialTokens
from workbench.training import tokenizer as pocket_tokenizer
from workbench.training.data import TextPacker
from workbench.training.kit import POCKET, Kit
from workbench.training.publish import publish

CONFIG = replace(
    POCKET,
    language=replace(
        POCKET.language, hidden_size=32, num_hidden_layers=3, intermediate_size=48, vocab_size=384
    ),
    vision=replace(
        POCKET.vision,
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=48,
    ),
    autoencoder=replace(POCKET.autoencoder, ch=8, ch_mult=(1, 2), z_channels=4),
    latent_side=12,
    vit_resize=ResizeRule(48, 16, 8),
    vae_resize=ResizeRule(48, 16, 8),
    system_prompt="restore first if damage hides it.",
    knows="nothing",
)
"""Pocket-bagel with every dimension smaller still."""
WORDS = ("red", "blue", "green", "dark", "noisy", "seven")
SENTENCES = [
    f"<think>{word}</think><image_restore> <think>{word}</think><answer>{word}</answer> what {word} is it?"
    for word in WORDS
] * 20


def whole_tags() -> Any:
    """Each tag is one token, as in pocket-bagel."""
    return pocket_tokenizer.fit(SENTENCES, 320)


def cut_tags() -> Any:
    """Each tag is several tokens, and "><" between two tags is one, as in Qwen's vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=list(pocket_tokenizer.SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return tokenizer


TOKENIZERS = {"whole": whole_tags, "cut": cut_tags}


@torch.no_grad()
def write(folder: Path, tags: str = "whole") -> Path:
    """Write a checkpoint: fp16 weights without the position tables, configuration, tokenizer."""
    torch.manual_seed(0)
    network, autoencoder = Bagel(CONFIG), Autoencoder(CONFIG.autoencoder)
    for name, p in network.named_parameters():
        if p.ndim == 2:
            nn.init.normal_(p, std=1.5 * p.shape[1] ** -0.5)
        elif name.endswith("bias"):
            nn.init.normal_(p, std=0.3)
    tokenizer = TOKENIZERS[tags]()
    # What it says are whole words after a space and the end, so that its words are cut as it said them.
    said = [tokenizer.token_to_id(f"Ġ{word}") for word in WORDS]
    said += [tokenizer.token_to_id("<|im_end|>")]
    network.language_model.lm_head.weight[[i for i in said if i is not None]] *= 8
    special = SpecialTokens(*(tokenizer.token_to_id(name) for name in pocket_tokenizer.SPECIALS))
    publish(Kit(network, autoencoder, tokenizer, special, TextPacker(tokenizer, special)), folder)
    return folder


def opened(folder: Path) -> BagelModel:
    """The checkpoint as the adapter, without the check at opening."""
    return load(folder, name=folder.name, device=torch.device("cpu"), dtype=torch.float32)


def picture(height: int = 48, width: int = 48, seed: int = 0) -> np.ndarray:
    """A random image, uint8 (height, width, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


class Script:
    """Makes a model want to say given texts: each token gets `certainty`, the others share the rest.

    `plan` tells the text that a segment is to become from what it is so far. Attention, caches and positions
    stay the network's own; only what is read off the states is replaced.
    """

    def __init__(self, model: BagelModel, plan: Callable[[str], str], certainty: float = 0.9) -> None:
        self.model, self.plan, self.certainty = model, plan, certainty
        self.heard: dict[int, int] = {}
        self._add_text = model.network.add_text
        model.network.add_text = self.add_text  # type: ignore[method-assign]
        model.network.logits = lambda states: states  # type: ignore[method-assign]

    def add_text(self, context: Context, ids: Tensor) -> tuple[Context, Tensor]:
        after, states = self._add_text(context, ids)
        rows = []
        for place, number in enumerate(ids[0].tolist(), start=context.position):
            if number == self.model.special.bos:
                self.start = place
            self.heard[place] = number
            rows.append(self._wanted([self.heard[i] for i in range(self.start + 1, place + 1)]))
        return after, torch.stack(rows)[None].to(states.dtype)

    def _wanted(self, said: list[int]) -> Tensor:
        special, size = self.model.special, self.model.config.language.vocab_size
        target = [*self.model.pieces(self.plan(self.model.words(said).strip())), special.eos]
        follows = len(said) < len(target) and target[: len(said)] == said
        number = target[len(said)] if follows else special.eos
        rest = (1 - self.certainty) / (size - 1)
        probabilities = torch.full((size,), rest)
        probabilities[number] = self.certainty
        return probabilities.log()
