"""What a training run keeps on disk: weights, optimiser, step. Written whole, then renamed; no pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from workbench.errors import Refusal


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


def write_json(values: object, path: Path) -> None:
    """Write JSON beside `path`, then rename."""
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)
