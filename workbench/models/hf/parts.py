"""Where the parts of a transformers model are: tower, projector, language layers, final norm, head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from workbench.errors import Refusal

PROJECTORS = (
    "multi_modal_projector",
    "connector",
    "aligner",
    "merger",
    "embed_vision",
    "mm_projector",
    "modality_projection",
    "vision_projection",
    "image_projection",
)
"""Names under which models keep what turns the tower's tokens into those of the language model."""
BLOCKS = ("layers", "blocks", "layer", "resblocks")
NORMS = ("norm", "final_layernorm", "final_layer_norm", "embedding_norm", "ln_f")


@dataclass(frozen=True)
class Parts:
    """The modules on an image's way. blocks and tower are None or empty where a model has no tower."""

    tower: nn.Module | None
    blocks: Sequence[nn.Module]
    projector: nn.Module | None
    layers: Sequence[nn.Module]
    norm: nn.Module
    head: nn.Module


def parts_of(network: Any) -> Parts:
    """The parts of a transformers model; raises Refusal where its language layers cannot be told."""
    name = type(network).__name__
    decoder = network.get_decoder()
    if not any(hasattr(decoder, n) for n in BLOCKS):
        # Some hand out their language model whole, head and all.
        decoder = getattr(decoder, "model", decoder)
    layers = next((getattr(decoder, n) for n in BLOCKS if isinstance(_of(decoder, n), nn.ModuleList)), None)
    norm = next((getattr(decoder, n) for n in NORMS if isinstance(_of(decoder, n), nn.Module)), None)
    head = network.get_output_embeddings()
    if layers is None or norm is None or head is None:
        lacking = "layers" if layers is None else "final norm" if norm is None else "output head"
        raise Refusal(
            f"{name} keeps no {lacking} where transformers' models do, so its states cannot be read. "
            "Open another model, or write a family for it in workbench/models/hf/families."
        )
    tower = network.get_encoder(modality="image")
    if tower is network or tower is network.base_model or tower is decoder:
        tower = None
    return Parts(
        tower,
        list(_longest(tower)) if tower is not None else [],
        _projector(network),
        list(layers),
        norm,
        head,
    )


def _of(module: Any, name: str) -> Any:
    return getattr(module, name, None)


def _longest(tower: nn.Module) -> nn.ModuleList:
    """The longest list of blocks anywhere in the tower."""
    found = [
        module
        for name, module in tower.named_modules()
        if isinstance(module, nn.ModuleList) and name.rpartition(".")[2] in BLOCKS
    ]
    return max(found, key=len, default=nn.ModuleList())


def _projector(network: nn.Module) -> nn.Module | None:
    """The shallowest module that bears one of the projectors' names."""
    named: Iterator[tuple[str, nn.Module]] = network.named_modules()
    found = [
        (name.count("."), PROJECTORS.index(last), module)
        for name, module in named
        if (last := name.rpartition(".")[2]) in PROJECTORS
    ]
    return min(found, key=lambda entry: entry[:2])[2] if found else None
