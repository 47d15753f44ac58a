"""Weights from disk into a network: safetensors only, names and shapes checked before anything is copied."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from workbench.errors import Refusal
from workbench.models.progress import Say, silent

WEIGHTS = ("model.safetensors",)
"""Of a folder in transformers' layout."""
BAGEL_WEIGHTS = {
    "auto": ("ema.safetensors", "model.safetensors"),
    "ema": ("ema.safetensors",),
    "model": ("model.safetensors",),
}
"""Of a folder in BAGEL's: the network, the first that is there. Fine-tuning writes both, and CLEAR evaluates
by ema, its running average; its reinforcement learning writes model alone."""
BAGEL_PIXELS = ("ae.safetensors",)
"""Its autoencoder."""
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
READABLE = ("F64", "F32", "F16", "BF16")
"""Number types, by their safetensors names, that a weight may be stored in."""


def find_weights(folder: Path, names: Sequence[str]) -> list[Path]:
    """The weight files of a folder: the first of `names` that is there, single or sharded by its index.

    Raises Refusal where none is, naming pickled files that were passed over.
    """
    for name in names:
        if (folder / name).is_file():
            return [folder / name]
        if has_weights(folder, name):
            return _shards(_index(folder, name))
    pickled = sorted(p.name for p in folder.iterdir() if p.suffix in PICKLED)
    hint = (
        f" It has {listing(pickled)}, but pickled weights can run code and are never loaded: "
        "convert them to safetensors."
        if pickled
        else " Fetch the weights again, or choose another folder."
    )
    raise Refusal(f"{folder} lacks its weights: there is no {' or '.join(names)}.{hint}")


def has_weights(folder: Path, name: str) -> bool:
    """Whether a folder has that weight file, whole or in shards."""
    return (folder / name).is_file() or _index(folder, name).is_file()


def _index(folder: Path, name: str) -> Path:
    return folder / f"{name}.index.json"


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        shards = [index.parent / name for name in names]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refusal(f"{index} cannot be read as an index of shards ({error}). Fetch it again.") from None
    if not shards or any(shard.parent != index.parent for shard in shards):
        raise Refusal(f"{index} does not list files of its own folder. Fetch it again.")
    if missing := [shard.name for shard in shards if not shard.is_file()]:
        raise Refusal(
            f"{index.parent} lacks {listing(missing)}, which {index.name} lists. Fetch the missing shards."
        )
    return shards


def listing(names: Sequence[str]) -> str:
    """Names in a sentence, the first six of them; where they are more, the log has all."""
    if len(names) <= 6:
        return ", ".join(names)
    logging.getLogger(__name__).warning("all %d of them: %s", len(names), ", ".join(names))
    return f"{', '.join(names[:6])} and {len(names) - 6} more, which the log lists"


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise Refusal(
            f"{path} is not a whole safetensors file ({error}). It was cut off or is of another format: "
            "fetch it again."
        ) from None


def check(
    module: nn.Module, files: Sequence[Path], *, regenerated: Sequence[str] = (), base: Path | None = None
) -> None:
    """Compare what the files' headers promise with what `module` needs; reads no weight.

    `regenerated`: names that may be absent because the caller fills them. `base`: the folder of the
    configuration, where it is not the files' own. Raises Refusal where a file is damaged, or with the lists
    of missing, unexpected, mis-shaped and quantised tensors.
    """
    stored: dict[str, tuple[tuple[int, ...], str]] = {}
    for path in files:
        with _open(path) as handle:
            for key in handle.keys():  # noqa: SIM118 - not a dict
                part = handle.get_slice(key)
                stored[key] = tuple(part.get_shape()), part.get_dtype()
    own = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    both = sorted(own.keys() & stored.keys())
    found = {
        "missing": sorted(own.keys() - stored.keys() - set(regenerated)),
        "unexpected": sorted(stored.keys() - own.keys()),
        "of another shape": [
            f"{k} is {stored[k][0]}, should be {own[k]}" for k in both if stored[k][0] != own[k]
        ],
        "of a number type that is not read": [
            f"{k} is {stored[k][1]}, should be one of {', '.join(READABLE)}"
            for k in both
            if stored[k][1] not in READABLE
        ],
    }
    problems = [f"{label}: {listing(keys)}" for label, keys in found.items() if keys]
    if problems:
        names = listing([p.name for p in files])
        where, advice = "beside it", "Take weights and configuration from the same place."
        if base is not None:
            where, advice = f"in {base}", "Give the base that these weights were trained from."
        raise Refusal(
            f"{names} in {files[0].parent} does not fit the configuration {where}. "
            f"{'; '.join(problems)}. {advice}"
        )


def load_strict(
    module: nn.Module, files: Sequence[Path], *, regenerated: Sequence[str] = (), say: Say = silent
) -> None:
    """Fill `module` from safetensors files, one tensor at a time; names and shapes must match exactly.

    `say` hears of each tensor. Raises Refusal as `check` does, before anything is changed; and where a number
    is not finite in the module's own number type, after which the module is not to be used.
    """
    check(module, files, regenerated=regenerated)
    own, done = module.state_dict(), 0
    for path in files:
        with _open(path) as handle, torch.no_grad():
            for key in handle.keys():  # noqa: SIM118 - not a dict
                done += 1
                say("Loading weights", done / len(own))
                own[key].copy_(handle.get_tensor(key))
                if not own[key].isfinite().all():
                    kind = str(own[key].dtype).removeprefix("torch.")
                    raise Refusal(
                        f"{path}: {key} holds numbers that are not finite in {kind}. "
                        "Fetch the file again, or open it as float32."
                    )


def fingerprint(files: Sequence[Path], more: bytes = b"", *, say: Say = silent) -> str:
    """SHA-256 over the files one after the other, first 12 hex digits: the revision of a local checkpoint.

    `more`: what else decides what the model computes.
    """
    digest, done = hashlib.sha256(), 0
    total = sum(path.stat().st_size for path in files)
    for path in files:
        with path.open("rb") as handle:
            while chunk := handle.read(1 << 20):
                digest.update(chunk)
                done += len(chunk)
                say("Taking the weights' fingerprint", done / total)
    digest.update(more)
    return digest.hexdigest()[:12]
