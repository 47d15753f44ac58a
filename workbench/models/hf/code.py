"""Code that comes with a checkpoint: told, and run only for whoever said at the start that it is trusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench.errors import Refusal
from workbench.models.hf.family import Family

MODELS = ("AutoModelForImageTextToText", "AutoModelForVision2Seq", "AutoModelForCausalLM", "AutoModel")
"""Under what a folder may name its model's class, best first."""


def own_code(folder: Path) -> dict[str, str]:
    """What a folder names of its own code, by transformers' auto class; empty where transformers needs none.

    A folder whose model type transformers knows runs under transformers' own classes, whatever it brings.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind, code = str(found.get("model_type", "")), found.get("auto_map")
    except (OSError, ValueError, AttributeError):
        return {}  # said by whoever reads it in earnest
    if not code or kind in CONFIG_MAPPING:
        return {}
    return {str(name): str(at) for name, at in code.items()} if isinstance(code, dict) else {"": str(code)}


def class_in(folder: Path, code: dict[str, str]) -> Any:
    """The model's class of a folder's own code, which is run. Raises Refusal where there is none."""
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    named = next((code[name] for name in MODELS if name in code), None)
    if named is None:
        raise Refusal(
            f"{folder.name} brings code, but names no model in it ({', '.join(MODELS)}). "
            "Take a version that transformers knows itself."
        )
    try:
        return get_class_from_dynamic_module(named, folder, local_files_only=True)
    except Exception as error:  # Somebody else's code may fail in any way.
        raise _failed(folder.name, error) from error


def conventional(network: Any, processor: Any) -> Family:
    """The convention for a model of code of its own. Raises Refusal where it keeps to none."""
    try:
        return Family(network, processor)
    except Refusal:
        raise
    except Exception as error:
        raise _failed(type(network).__name__, error) from error


def _failed(name: str, error: Exception) -> Refusal:
    first = str(error).strip().partition("\n")[0]
    return Refusal(
        f"The code of {name} does not work as transformers' models do ({type(error).__name__}: {first}). "
        "Take a version that transformers knows itself, or write a family for it in "
        "workbench/models/hf/families."
    )
