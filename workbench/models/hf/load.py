"""Open a folder that transformers wrote: configuration, processor, weights, nothing left to chance."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from workbench.errors import Refusal
from workbench.models.checkpoint import find_weights, fingerprint
from workbench.models.hf.adapter import HFModel
from workbench.models.hf.families import family_of
from workbench.models.hf.processor import read_processor
from workbench.models.protocol import Capability, ModelCard

WEIGHTS = ("model.safetensors",)
CAPABILITIES = frozenset({Capability.ANSWERS, Capability.SCORES, Capability.HIDDEN_STATES})


def load(folder: Path, *, name: str, device: torch.device, dtype: torch.dtype) -> HFModel:
    """A transformers folder as a model.

    Raises Refusal where it is of no image-text-to-text kind, needs code of its own, lacks a file, or where
    weights and configuration do not fit: nothing is left at random values in silence.
    """
    config = _config(folder)
    cls = _class_for(config, folder)
    files = find_weights(folder, WEIGHTS)
    processor = read_processor(folder)
    network = _network(cls, config, folder, dtype, device)
    family = family_of(config)(network, processor)
    text = config.get_text_config()
    card = ModelCard(
        id=name,
        family=config.model_type,
        folder=folder,
        revision=fingerprint([*files, *sorted(folder.glob("*.json"))]),
        parameters=sum(p.numel() for p in network.parameters()),
        dtype=str(dtype).removeprefix("torch."),
        device=str(device),
        vision_layers=family.used_blocks,
        llm_layers=len(family.parts.layers),
        width=text.hidden_size,
        capabilities=CAPABILITIES,
        licence=_licence(folder),
        knows="",
    )
    return HFModel(family, card)


def _config(folder: Path) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        # transformers raises many kinds for a configuration it cannot make sense of.
        raise Refusal(
            f"{folder}/config.json is not a configuration that the installed transformers knows: "
            f"{_first_line(error)}"
        ) from None


def _class_for(config: Any, folder: Path) -> Any:
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    found = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.get(config.model_type)
    if found is None:
        raise Refusal(
            f"{folder} holds a {config.model_type} model, which answers no questions about images. "
            "Open an image-text-to-text model."
        )
    return getattr(transformers, found if isinstance(found, str) else found[0])


def _network(cls: Any, config: Any, folder: Path, dtype: torch.dtype, device: torch.device) -> Any:
    try:
        network, info = cls.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except (RuntimeError, OSError, ValueError, MemoryError) as error:
        raise Refusal(f"The weights in {folder} cannot be opened: {_first_line(error)}") from None
    wrong = {
        "missing": info["missing_keys"],
        "unexpected": info["unexpected_keys"],
        "of another shape": [entry[0] for entry in info["mismatched_keys"]],
    }
    if problems := [f"{label}: {_listing(names)}" for label, names in wrong.items() if names]:
        raise Refusal(
            f"The weights in {folder} do not fit the configuration beside them. {'; '.join(problems)}. "
            "Take weights and configuration from the same place."
        )
    return network.to(device).eval().requires_grad_(False)


def _listing(names: Any) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:6]) + (f" and {len(ordered) - 6} more" if len(ordered) > 6 else "")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def _licence(folder: Path) -> str:
    """What the model card's front matter says."""
    readme = folder / "README.md"
    if not readme.is_file():
        return ""
    head = readme.read_text(encoding="utf-8", errors="replace")[:4000]
    found = re.search(r"^license(?:_name)?:\s*(\S+)\s*$", head, re.MULTILINE)
    return found.group(1) if found else ""
