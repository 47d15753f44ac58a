"""Weights that were quantised before they were published: AWQ, GPTQ, FP8, bitsandbytes' own and others.

transformers opens them with a package for each method, and says which is missing once it has the weights.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from workbench.errors import Refusal
from workbench.models.hf.errors import told


def stored_as(config: Any) -> str:
    """The method by which the weights were quantised, in transformers' word; empty where they were not."""
    owners = (config, config.get_text_config(decoder=True))
    found = next((how for each in owners if (how := getattr(each, "quantization_config", None))), None)
    if found is None:
        return ""
    values = found if isinstance(found, dict) else found.to_dict()
    return str(values.get("quant_method") or "of an unnamed method")


def demand_readable(config: Any, quantised: str, device: torch.device, folder: Path) -> None:
    """Raise Refusal where weights that were quantised cannot be read here, with what is lacking."""
    if not (method := stored_as(config)):
        return
    if quantised:
        raise Refusal(
            f"The weights of {folder.name} are quantised already ({method}). Leave the quantisation out."
        )
    from transformers.quantizers.auto import get_hf_quantizer

    place = None if device.type == "cpu" else {"": str(device)}
    try:
        get_hf_quantizer(deepcopy(config), None, place, True, {})
    except Exception as error:
        # Each method asks for its own packages and devices, in ways of its own.
        why = told(error).rstrip(".")
        raise Refusal(
            f"The weights of {folder.name} are quantised ({method}), which cannot be read here: {why}. "
            "Or open the version that is not quantised."
        ) from None
