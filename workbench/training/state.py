"""What a training run keeps on disk: weights, optimiser, step, and what was asked of it.

Written whole, then renamed; no pickle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from workbench.errors import Refusal

ASKED = "asked.json"
"""The file of a training folder that says what was asked of the run that began it."""


def write_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write safetensors beside `path`, then rename, so that a kill leaves the old file or the new one."""
    temporary = path.with_suffix(".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().contiguous() for k, v in tensors.items()}, temporary)
    os.replace(temporary, path)


def save(
    path: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer | None, step: int
) -> None:
    """Write the run's state; `modules` by a short name."""
    tensors: dict[str, Tensor] = {"step": torch.tensor(step)}
    names: dict[Tensor, str] = {}
    for short, module in modules.items():
        for name, value in module.state_dict(keep_vars=True).items():
            tensors[f"model/{short}/{name}"] = value.data
            names[value] = f"{short}/{name}"
    if optimizer is not None:
        for p, state in optimizer.state.items():
            for key, value in state.items():
                tensors[f"optimizer/{key}/{names[p]}"] = torch.as_tensor(value)
    write_tensors(tensors, path)


def load(path: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer | None = None) -> int:
    """Fill modules (and the optimiser) from a state file; returns its step.

    Raises Refusal for a file that cannot be read, RuntimeError for one that does not fit the modules.
    """
    try:
        tensors = load_file(path)
    except Exception as error:
        raise Refusal(
            f"{path} is not a training state ({error}). Delete it to start this stage again."
        ) from None
    for short, module in modules.items():
        head = f"model/{short}/"
        values = {k.removeprefix(head): v for k, v in tensors.items() if k.startswith(head)}
        if values or optimizer is not None:
            module.load_state_dict(values, strict=True)
    if optimizer is not None:
        parameters = {f"{s}/{n}": p for s, m in modules.items() for n, p in m.named_parameters()}
        for key, value in tensors.items():
            if key.startswith("optimizer/"):
                _, slot, name = key.split("/", 2)
                optimizer.state[parameters[name]][slot] = int(value) if slot == "age" else value
    return int(tensors["step"])


def refuse_another(asked: Mapping[str, Any], folder: Path) -> None:
    """Raise Refusal where `folder` was begun with other settings than those asked for now.

    asked: settings of JSON's types by the words that name them. A folder that does not say is any run's.
    """
    path = folder / ASKED
    if not path.exists():
        return
    try:
        begun = json.loads(path.read_text(encoding="utf-8"))
        differ = [f"{name} {begun[name]} and not {now}" for name, now in asked.items() if begun[name] != now]
    except (ValueError, KeyError, TypeError):
        raise Refusal(
            f"{path} cannot be read. Give another --out, or delete {folder} to begin again."
        ) from None
    if differ:
        raise Refusal(
            f"The run in {folder} was begun with {', '.join(differ)}: ask for the same to go on with it, or "
            "give another --out."
        )


def keep_asked(asked: Mapping[str, Any], folder: Path) -> None:
    """Say in `folder` what is asked of the run that begins there; not where one was begun without saying."""
    if not any(folder.glob("*.safetensors")):
        write_json(dict(asked), folder / ASKED)


def write_json(values: object, path: Path) -> None:
    """Write JSON beside `path`, then rename."""
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)
