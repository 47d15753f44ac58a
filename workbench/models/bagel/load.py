"""Open a folder in BAGEL's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from workbench.errors import Refusal
from workbench.models.bagel.adapter import BagelModel
from workbench.models.bagel.autoencoder import Autoencoder
from workbench.models.bagel.config import BagelConfig, config_files, read_config
from workbench.models.bagel.language import ATTENTION
from workbench.models.bagel.network import Bagel, SpecialTokens
from workbench.models.bagel.patches import processor
from workbench.models.checkpoint import (
    BAGEL_PIXELS,
    BAGEL_WEIGHTS,
    check,
    find_weights,
    fingerprint,
    load_strict,
)
from workbench.models.memory import demand, free_on, in_words
from workbench.models.progress import Say, part
from workbench.models.protocol import Capability, ModelCard

SPECIAL_NAMES = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>")
REGENERATED = ("vit_pos_embed.pos_embed", "latent_pos_embed.pos_embed")
"""Deterministic tables that some checkpoints of this layout leave out."""


def load(
    folder: Path, *, name: str, device: torch.device, dtype: torch.dtype, say: Say | None = None
) -> BagelModel:
    """A BAGEL folder as a model; raises Refusal where a file is missing or does not fit.

    Everything is compared with the configuration, and with the memory that is free, before any is taken for
    the weights. `say` hears how far it is.
    """
    config = read_config(folder)
    files = find_weights(folder, BAGEL_WEIGHTS)
    pixels = find_weights(folder, BAGEL_PIXELS)
    words = folder / "tokenizer.json"
    tokenizer, special = _tokenizer(words, config)
    with torch.device("meta"):
        network, autoencoder = Bagel(config).to(dtype), Autoencoder(config.autoencoder).to(dtype)
    check(network, files, regenerated=REGENERATED)
    check(autoencoder, pixels)
    numbers = sum(p.numel() for module in (network, autoencoder) for p in module.parameters())
    needed, kind = numbers * dtype.itemsize, str(dtype).removeprefix("torch.")
    demand(needed, free_on(device), name, str(device), kind)
    try:
        network.to_empty(device=device)
        autoencoder.to_empty(device=device)
    except (RuntimeError, MemoryError) as error:
        raise Refusal(
            f"{name} needs {in_words(needed)} for its weights, which {device} does not have free "
            f"({str(error).splitlines()[0]}). Close other models and programs, or open it elsewhere."
        ) from None
    network.vit_pos_embed.reset()
    network.latent_pos_embed.reset()
    load_strict(network, files, regenerated=REGENERATED, say=part(say, 0.0, 0.75))
    load_strict(autoencoder, pixels, say=part(say, 0.75, 0.8))
    card = ModelCard(
        id=name,
        family="bagel",
        folder=folder,
        revision=fingerprint([*files, *pixels, *config_files(folder), words], say=part(say, 0.8, 1.0)),
        parameters=numbers,
        dtype=kind,
        device=str(device),
        attention=ATTENTION,
        processor=processor(config),
        vision_layers=config.vision.used_layers,
        llm_layers=config.language.num_hidden_layers,
        width=config.language.hidden_size,
        # Without a prompt that asks for it, no thought and no decision to draw can be expected.
        capabilities=frozenset(Capability)
        - ({Capability.INTERLEAVES} if not config.system_prompt else set()),
        licence=config.licence,
        knows=config.knows,
    )
    return BagelModel(network, autoencoder, tokenizer, special, card)


def _tokenizer(path: Path, config: BagelConfig) -> tuple[Any, SpecialTokens]:
    from tokenizers import Tokenizer

    if not path.is_file():
        raise Refusal(f"{path.name} is missing from {path.parent}. A BAGEL folder needs it: fetch it.")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        # tokenizers raises a bare Exception for any kind of damage.
        raise Refusal(f"{path} cannot be read as a tokenizer ({error}). Fetch the file again.") from None
    known = tokenizer.get_vocab()
    if absent := [name for name in SPECIAL_NAMES if name not in known]:
        raise Refusal(
            f"{path} has no {', '.join(absent)}, so it is not the tokenizer of a BAGEL checkpoint. "
            "Take the one that belongs to these weights."
        )
    rows = config.usable_vocabulary or config.language.vocab_size
    if (largest := max(known.values())) >= rows:
        raise Refusal(
            f"{path} has ids up to {largest}, but the network knows {rows} tokens. "
            "Take the tokenizer that belongs to these weights."
        )
    # What a person types is text, also where it looks like one of the tokens that frame text.
    tokenizer.encode_special_tokens = True
    return tokenizer, SpecialTokens(*(known[name] for name in SPECIAL_NAMES))
