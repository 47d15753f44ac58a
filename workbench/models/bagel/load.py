"""Open a folder in BAGEL's layout."""

from __future__ import annotations

from pathlib import Path

import torch

from workbench.errors import Refusal
from workbench.models.bagel.adapter import BagelModel
from workbench.models.bagel.autoencoder import Autoencoder
from workbench.models.bagel.config import read_config
from workbench.models.bagel.network import Bagel, SpecialTokens
from workbench.models.checkpoint import find_weights, fingerprint, load_strict
from workbench.models.protocol import Capability, ModelCard

SPECIAL_NAMES = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>")
REGENERATED = ("vit_pos_embed.pos_embed", "latent_pos_embed.pos_embed")
"""Deterministic tables that some checkpoints of this layout leave out."""


def load(folder: Path, *, name: str, device: torch.device, dtype: torch.dtype) -> BagelModel:
    """A BAGEL folder as a model; raises Refusal with the reason where a file is missing or does not fit."""
    from tokenizers import Tokenizer

    config = read_config(folder)
    files = find_weights(folder, ("ema.safetensors", "model.safetensors"))
    pixels = find_weights(folder, ("ae.safetensors",))
    words = folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(words))
    except Exception as error:
        # tokenizers raises a bare Exception for a missing and for a damaged file alike.
        raise Refusal(f"{words} cannot be read as a tokenizer ({error}). Fetch the file again.") from None
    ids = [tokenizer.token_to_id(token) for token in SPECIAL_NAMES]
    if None in ids:
        absent = ", ".join(t for t, i in zip(SPECIAL_NAMES, ids, strict=True) if i is None)
        raise Refusal(f"{words} has no {absent}: it is not the tokenizer of a BAGEL checkpoint.")
    with torch.device("meta"):
        network, autoencoder = Bagel(config), Autoencoder(config.autoencoder)
    network.to_empty(device=device).to(dtype)
    autoencoder.to_empty(device=device).to(dtype)
    network.vit_pos_embed.reset()
    network.latent_pos_embed.reset()
    load_strict(network, files, regenerated=REGENERATED)
    load_strict(autoencoder, pixels)
    card = ModelCard(
        id=name,
        family="bagel",
        folder=folder,
        revision=fingerprint([*files, *pixels]),
        parameters=sum(p.numel() for m in (network, autoencoder) for p in m.parameters()),
        dtype=str(dtype).removeprefix("torch."),
        device=str(device),
        vision_layers=config.vision.used_layers,
        llm_layers=config.language.num_hidden_layers,
        width=config.language.hidden_size,
        capabilities=frozenset(Capability),
        licence=config.licence,
        knows=config.knows,
    )
    return BagelModel(network, autoencoder, tokenizer, SpecialTokens(*ids), card)
