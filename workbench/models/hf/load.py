"""Open a folder that transformers wrote: configuration, processor, weights, nothing left to chance."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from workbench.errors import Refusal
from workbench.models import Opening
from workbench.models.checkpoint import WEIGHTS, find_weights, fingerprint, listing
from workbench.models.hf.adapter import HFModel
from workbench.models.hf.code import class_in, conventional, own_code
from workbench.models.hf.families import family_of
from workbench.models.hf.kernels import WATCHED, watch_kernels
from workbench.models.hf.processor import read_processor
from workbench.models.hf.progress import heard, quietly
from workbench.models.memory import bytes_per_number, demand, free_on, in_words, size_of
from workbench.models.progress import Say, part
from workbench.models.protocol import Capability, ModelCard

CAPABILITIES = frozenset({Capability.ANSWERS, Capability.SCORES, Capability.HIDDEN_STATES})
"""Of every model; attention besides, under a kernel that is watched."""


def load(
    folder: Path,
    *,
    name: str,
    device: torch.device,
    dtype: torch.dtype,
    opening: Opening | None = None,
    say: Say | None = None,
) -> HFModel:
    """A transformers folder as a model; `say` hears how far it is.

    Raises Refusal where it is of no image-text-to-text kind, needs code of its own that is not trusted, lacks
    a file, or where weights and configuration do not fit: nothing is left at random values in silence.
    """
    how = opening or Opening()
    config, code = known(folder, how)
    cls = class_in(folder, code) if code else _class_for(config, folder)
    ways = conventional if code else family_of(config)
    _unchosen(config)
    files = find_weights(folder, WEIGHTS)
    processor = read_processor(folder, trusted=how.trust_remote_code)
    watch_kernels()
    kind = str(dtype).removeprefix("torch.")
    needed = size_of(files).bytes(bytes_per_number(dtype, how.quantised))
    options = _options(how, dtype, device, needed)
    if options.get("device_map") == "auto":
        together = sum(free_on(torch.device("cuda", k)) or 0 for k in range(torch.cuda.device_count()))
        demand(needed, together, name, "all GPUs together", kind)
    else:
        demand(needed, free_on(device), name, str(device), how.quantised or kind)
    network = _network(cls, config, folder, options, part(say, 0.0, 0.8))
    if "device_map" not in options:
        network = network.to(device)
    family = ways(network, processor)
    text = config.get_text_config()
    decisive = [*files, *sorted(folder.glob("*.json")), *(sorted(folder.glob("*.py")) if code else ())]
    card = ModelCard(
        id=name,
        family=config.model_type,
        folder=folder,
        revision=fingerprint(decisive, say=part(say, 0.8, 1.0)),
        parameters=sum(p.numel() for p in network.parameters()),
        dtype=f"{how.quantised} {kind}".strip(),
        device=str(device),
        attention=str(network.config.get_text_config()._attn_implementation),
        processor=_settings(processor),
        vision_layers=family.used_blocks,
        llm_layers=len(family.parts.layers),
        width=text.hidden_size,
        capabilities=CAPABILITIES
        | family.capabilities
        | ({Capability.ATTENTION} if _watched(network) else set()),
        licence=_licence(folder),
        knows="",
        choices={"own code": f"trusted and run: {', '.join(sorted(code.values()))}"} if code else {},
    )
    return HFModel(family, card)


def known(folder: Path, how: Opening) -> tuple[Any, dict[str, str]]:
    """The configuration, and the folder's own code where it is needed and trusted; reads no weights.

    Raises Refusal for what will not be opened, whatever its weights are.
    """
    code = own_code(folder)
    if code and not how.trust_remote_code:
        raise Refusal(
            f"{folder.name} needs Python code of its own, which comes with the weights and is not run. Take "
            "a version that transformers knows itself: its name often ends in -hf. Or read the code and, if "
            "you trust it, start the workbench with --trust-remote-code."
        )
    config = _config(folder, trusted=bool(code))
    if not code:
        _class_for(config, folder)
        family_of(config)
    return config, code


def _config(folder: Path, *, trusted: bool) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=trusted)
    except Exception as error:
        # transformers raises many kinds for a configuration it cannot make sense of.
        raise Refusal(
            f"{folder}/config.json is not a configuration that the installed transformers knows: "
            f"{_first_line(error)}"
        ) from None


def _unchosen(config: Any) -> None:
    """Take out a kernel that the configuration names: the person chooses it, or transformers does."""
    for each in (config, *(getattr(config, name, None) for name in config.sub_configs)):
        if each is not None and getattr(each, "_attn_implementation_internal", None) is not None:
            each._attn_implementation_internal = None


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


def _options(how: Opening, dtype: torch.dtype, device: torch.device, needed: int) -> dict[str, Any]:
    """What from_pretrained is to be told. Raises Refusal where a package for it is not installed."""
    options: dict[str, Any] = {"dtype": dtype}
    if how.attention != "auto":
        options["attn_implementation"] = how.attention
    if how.attention.startswith("flash") and device.type != "cuda":
        raise Refusal(f"{how.attention} runs on a CUDA device only; this is {device}. Take sdpa.")
    if how.quantised:
        if device.type != "cuda" or not find_spec("bitsandbytes"):
            lacking = "a CUDA device" if device.type != "cuda" else "the package bitsandbytes"
            raise Refusal(f"{how.quantised} needs {lacking}. Open it without quantisation, or provide it.")
        from transformers import BitsAndBytesConfig

        bits = {"load_in_8bit": True} if how.quantised == "8bit" else {"load_in_4bit": True}
        options["quantization_config"] = BitsAndBytesConfig(**bits, bnb_4bit_compute_dtype=dtype)
        options["device_map"] = {"": str(device)}
    elif how.device == "auto" and torch.cuda.device_count() > 1:
        free = free_on(device)
        if free is not None and needed > free:
            if not find_spec("accelerate"):
                raise Refusal(
                    f"The weights need {in_words(needed)}, more than one device has free; to share them out "
                    "the package accelerate is needed. Install it, or take a smaller dtype."
                )
            options["device_map"] = "auto"
    return options


def _network(cls: Any, config: Any, folder: Path, options: dict[str, Any], say: Say) -> Any:
    try:
        with heard(say), quietly():
            network, info = cls.from_pretrained(
                folder,
                config=config,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # so that all of them are named below, and refused
                **options,
            )
    except (RuntimeError, OSError, ValueError, ImportError, MemoryError, SafetensorError) as error:
        raise Refusal(f"The weights in {folder} cannot be opened: {_first_line(error)}") from None
    wrong = {
        "missing": info["missing_keys"],
        "unexpected": info["unexpected_keys"],
        "of another shape": [
            f"{name} is {tuple(stored)}, should be {tuple(own)}"
            for name, stored, own in info["mismatched_keys"]
        ],
    }
    if problems := [f"{label}: {listing(sorted(names))}" for label, names in wrong.items() if names]:
        raise Refusal(
            f"The weights in {folder} do not fit the configuration beside them. {'; '.join(problems)}. "
            "Take weights and configuration from the same place."
        )
    return network.eval().requires_grad_(False)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def _settings(processor: Any) -> dict[str, Any]:
    """The image processor's settings, of JSON's types."""
    found = json.loads(processor.image_processor.to_json_string())
    return {name: value for name, value in found.items() if value is not None}


def _watched(network: Any) -> bool:
    """Whether all attention runs under a kernel that is watched."""
    configs = [network.config, *(getattr(network.config, name) for name in network.config.sub_configs)]
    return all(config is None or config._attn_implementation in WATCHED for config in configs)


def _licence(folder: Path) -> str:
    """What the model card's front matter says."""
    readme = folder / "README.md"
    if not readme.is_file():
        return ""
    head = readme.read_text(encoding="utf-8", errors="replace")[:4000]
    found = re.search(r"^license(?:_name)?:\s*(\S+)\s*$", head, re.MULTILINE)
    return found.group(1) if found else ""
