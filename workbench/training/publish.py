"""From training state to a checkpoint folder: fp16 safetensors, configuration, tokenizer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from workbench.models.bagel.config import write_config
from workbench.training import tokenizer as pocket_tokenizer
from workbench.training.kit import Kit
from workbench.training.state import write_tensors


def _half(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.half() for name, value in module.state_dict().items()}


def publish(kit: Kit, folder: Path) -> None:
    """Write the kit as a folder that `workbench.models.open` opens."""
    folder.mkdir(parents=True, exist_ok=True)
    # Ids past the tokenizer's last have no text.
    config = replace(kit.network.config, usable_vocabulary=kit.tokenizer.get_vocab_size())
    write_config(config, folder)
    pocket_tokenizer.save(kit.tokenizer, folder)
    # The two fixed position tables are computed again at loading.
    network = {k: v for k, v in _half(kit.network).items() if not k.endswith("pos_embed.pos_embed")}
    write_tensors(network, folder / "ema.safetensors")
    write_tensors(_half(kit.autoencoder), folder / "ae.safetensors")
