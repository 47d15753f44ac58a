"""Open a folder that transformers wrote: configuration, processor, weights, nothing left to chance."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from workbench.errors import Refusal
from workbench.models import Opening
from workbench.models.bits import NF4, demand_bits, demand_kernel
from workbench.models.checkpoint import (
    check_finite,
    fingerprint,
    finite,
    refuse_repeated,
    refuse_whole_numbers,
    unsound,
)
from workbench.models.hf.adapter import HFModel
from workbench.models.hf.code import class_in, conventional, own_code
from workbench.models.hf.errors import told
from workbench.models.hf.families import family_of
from workbench.models.hf.image_processors import demand_backend
from workbench.models.hf.kernels import WATCHED, watch_kernels
from workbench.models.hf.names import Shapes, demand_fit, refuse_misfits
from workbench.models.hf.processor import read_processor
from workbench.models.hf.progress import heard, quietly
from workbench.models.hf.stored import demand_readable, stored_as
from workbench.models.memory import demand, free_for, free_on, header, in_words, size_of
from workbench.models.peft import unapplied
from workbench.models.progress import Say, part
from workbench.models.protocol import Capability, ModelCard
from workbench.models.weights import WEIGHTS, complete, find_weights

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
    config, code = foresee(folder, how, device)
    cls = class_in(folder, code) if code else _class_for(config, folder)
    ways = conventional if code else family_of(config)
    files = find_weights(folder, WEIGHTS)
    refuse_repeated(files)
    if not stored_as(config):
        refuse_whole_numbers(files)
    processor = read_processor(folder, trusted=how.trust_remote_code)
    watch_kernels()
    kind = str(dtype).removeprefix("torch.")
    needed = size_of(files).bytes(dtype, how.quantised)
    options = _options(how, dtype, device, needed)
    together = options.get("device_map") == "auto"
    where = "all GPUs together" if together else str(device)
    demand(needed, free_for(how, device) if together else free_on(device), name, where, how.quantised or kind)
    if device.type != "cpu" and "device_map" not in options:
        # Without accelerate transformers reads weights into the host's memory, from where they go on.
        demand_passage(needed, name, device)
    network = _network(cls, config, files, options, part(say, 0.0, 0.8))
    if "device_map" not in options and network.device != device:
        network = network.to(device)
    _sound(network, folder, files if how.quantised else ())
    family = ways(network, processor)
    text = config.get_text_config()
    decisive = [*files, *sorted(folder.glob("*.json")), *(sorted(folder.glob("*.py")) if code else ())]
    card = ModelCard(
        id=name,
        family=config.model_type,
        folder=folder,
        revision=fingerprint(decisive, say=part(say, 0.8, 1.0)),
        parameters=network.num_parameters(),  # of 4 bits, too, which are stored two in one
        dtype=f"{how.quantised or _stored_as(network, config)} {kind}".strip(),
        device=str(device),
        attention=str(network.config.get_text_config()._attn_implementation),
        processor=_settings(processor),
        vision_layers=family.used_blocks,
        llm_layers=len(family.parts.layers),
        width=text.hidden_size,
        capabilities=CAPABILITIES
        | family.capabilities
        | ({Capability.ATTENTION} if _watched(network) else set())
        # Between the pixels and a tokeniser's choice of a code there is no gradient.
        | ({Capability.PIXEL_GRADIENTS} if family.parts.blocks and family.towers == 1 else set()),
        licence=_licence(folder),
        knows="",
        choices=_choices(folder, code),
    )
    return HFModel(family, card)


def foresee(folder: Path, how: Opening, device: torch.device) -> tuple[Any, dict[str, str]]:
    """The configuration, and the folder's own code where it is needed and trusted; reads no weights.

    Raises Refusal for what will not be opened, whatever its weights are, and where weights that are there
    have other names or shapes than the configuration asks for.
    """
    demand_bits(how.quantised, device, ("bitsandbytes", "accelerate"))
    demand_kernel(how.attention, device, how.dtype)
    code = own_code(folder)
    if code and not how.trust_remote_code:
        raise Refusal(
            f"{folder.name} needs Python code of its own, which comes with the weights and is not run. Take "
            "a version that transformers knows itself: its name often ends in -hf. Or read the code and, if "
            "you trust it, start the workbench with --trust-remote-code."
        )
    config = _config(folder, trusted=bool(code))
    if not code:
        cls = _class_for(config, folder)
        family_of(config)
        demand_backend(config)
        demand_readable(config, how.quantised, device, folder)
        here = find_weights(folder, WEIGHTS) if complete(folder, WEIGHTS[0]) else []
        stored = {tensor.name: tensor.shape for path in here for tensor in header(path)}
        demand_fit(cls, config, stored or None, folder)
    return config, code


def demand_names(folder: Path, shapes: Shapes) -> None:
    """Raise Refusal where weights of these names and shapes do not fit a folder's configuration."""
    if not own_code(folder):
        config = _config(folder, trusted=False)
        demand_fit(_class_for(config, folder), config, shapes, folder)


def _config(folder: Path, *, trusted: bool) -> Any:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=trusted)
    except Exception as error:
        # transformers raises many kinds for a configuration it cannot make sense of.
        raise Refusal(
            f"{folder}/config.json is not a configuration that the installed transformers knows: "
            f"{told(error)}"
        ) from None
    # An omni model is a part that sees, hears and answers, and parts that speak: the first is what is opened.
    config = getattr(config, "thinker_config", config)
    _unchosen(config)
    return config


def _unchosen(config: Any) -> None:
    """Take out a kernel that the configuration names: the person chooses it, or transformers does."""
    for each in (config, *(getattr(config, name, None) for name in config.sub_configs)):
        if each is not None and getattr(each, "_attn_implementation_internal", None) is not None:
            each._attn_implementation_internal = None


def _class_for(config: Any, folder: Path) -> Any:
    import transformers
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
        MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
    )

    found = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.get(config.model_type)
    if found is None and config.model_type in MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES:
        raise Refusal(
            f"{folder} holds a {config.model_type} model, which transformers does not count among those that "
            "answer questions about images: where its visual tokens are is not known. docs/models.md lists "
            "the models that are opened."
        )
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
    if how.quantised:
        from transformers import BitsAndBytesConfig

        bits = {"load_in_8bit": True} if how.quantised == "8bit" else {"load_in_4bit": True}
        options["quantization_config"] = BitsAndBytesConfig(
            **bits, bnb_4bit_compute_dtype=dtype, bnb_4bit_quant_type=NF4
        )
    room = free_on(device)
    if how.device == "auto" and not how.quantised and torch.cuda.device_count() > 1 and room is not None:
        if needed > room:
            if not find_spec("accelerate"):
                raise Refusal(
                    f"The weights need {in_words(needed)}, more than one device has free; to share them out "
                    "the package accelerate is needed. Install it, or take a smaller dtype."
                )
            return options | {"device_map": "auto"}
    if device.type != "cpu" and find_spec("accelerate"):
        options["device_map"] = {"": str(device)}  # tensor by tensor, straight to the device
    return options


def demand_passage(needed: int, name: str, device: torch.device) -> None:
    """Raise Refusal where the host has no room for weights on their way to a device."""
    free = free_on(torch.device("cpu"))
    if free is not None and needed > free:
        raise Refusal(
            f"{name} passes through the memory of the machine on its way to {device}: it needs "
            f"{in_words(needed)} there, and {in_words(free)} are free. Install the package accelerate, with "
            "which weights go straight to the device, or close other programs."
        )


def _sound(network: Any, folder: Path, files: Sequence[Path]) -> None:
    """Raise Refusal with the name of the first weight that is not finite, in memory or in `files`.

    Weights that were quantised no longer tell: what is not finite became some number.
    """
    for name, weight in network.state_dict().items():
        if weight.device.type != "meta" and not finite(weight):
            raise unsound(folder, name, weight.dtype)
    check_finite(files)


def _network(cls: Any, config: Any, files: Sequence[Path], options: dict[str, Any], say: Say) -> Any:
    folder = files[0].parent
    try:
        with heard(say, files), quietly():
            network, info = cls.from_pretrained(
                folder,
                config=config,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # so that all of them are named below, and refused
                adapter_kwargs={
                    "subfolder": "none"
                },  # peft, where installed, would apply one beside the weights
                **options,
            )
    except (RuntimeError, OSError, ValueError, ImportError, MemoryError, SafetensorError) as error:
        raise Refusal(f"The weights in {folder} cannot be opened: {told(error)}") from None
    refuse_misfits(info, folder)
    return network.eval().requires_grad_(False)


def _choices(folder: Path, code: dict[str, str]) -> dict[str, str]:
    """What a person should know of how it was opened; nothing of an ordinary folder."""
    trusted = {"own code": f"trusted and run: {', '.join(sorted(code.values()))}"} if code else {}
    return trusted | unapplied(folder)


def _settings(processor: Any) -> dict[str, Any]:
    """The image processor's settings, of JSON's types."""
    found = json.loads(processor.image_processor.to_json_string())
    return {name: value for name, value in found.items() if value is not None}


def _stored_as(network: Any, config: Any) -> str:
    """How the weights were quantised before; a method that transformers does not know, it leaves out."""
    return stored_as(config) if getattr(network, "hf_quantizer", None) is not None else ""


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
