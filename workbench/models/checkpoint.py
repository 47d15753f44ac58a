"""Weights from disk into a network: safetensors only, every name and shape checked before anything is copied."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from workbench.errors import Refusal

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def find_weights(folder: Path, names: Iterable[str]) -> list[Path]:
    """The weight files of a folder: the first of `names` that is there, single or sharded by its index.

    Raises Refusal where none is, naming pickled files that were passed over.
    """
    names = list(names)
    for name in names:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
            if missing := [s for s in shards if not (folder / s).is_file()]:
                raise Refusal(f"{folder} lacks {', '.join(missing)}, which {index.name} lists. Fetch the missing shards.")
            return [folder / s for s in shards]
    pickled = sorted(p.name for p in folder.iterdir() if p.suffix in PICKLED)
    hint = (
        f" It has {', '.join(pickled)}, but pickled weights can run code and are never loaded: convert them to safetensors."
        if pickled
        else ""
    )
    raise Refusal(f"{folder} holds none of {', '.join(names)}.{hint}")


def _listing(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def read_tensors(files: list[Path], wanted: set[str] | None = None) -> dict[str, Tensor]:
    """All tensors (or the `wanted` ones) of safetensors files; raises Refusal where a file is damaged."""
    tensors: dict[str, Tensor] = {}
    for path in files:
        try:
            with safe_open(path, framework="pt") as handle:
                for key in handle.keys():  # noqa: SIM118 - not a dict
                    if wanted is None or key in wanted:
                        tensors[key] = handle.get_tensor(key)
        except (SafetensorError, OSError) as error:
            raise Refusal(
                f"{path} is not a whole safetensors file ({error}). It was cut off or is of another format: fetch it again."
            ) from None
    return tensors


def load_strict(module: nn.Module, files: list[Path], *, regenerated: tuple[str, ...] = ()) -> None:
    """Fill `module` from safetensors files; names and shapes must match exactly.

    `regenerated`: names that may be absent because the caller has filled them already. Raises Refusal with the
    lists of missing, unexpected and mis-shaped tensors; then nothing has been changed.
    """
    tensors = read_tensors(files)
    own = module.state_dict()
    missing = sorted(set(own) - set(tensors) - set(regenerated))
    unexpected = sorted(set(tensors) - set(own))
    shapes = sorted(
        f"{k} is {tuple(tensors[k].shape)}, should be {tuple(own[k].shape)}"
        for k in own.keys() & tensors.keys()
        if tensors[k].shape != own[k].shape
    )
    problems = [
        f"{label}: {_listing(found)}"
        for label, found in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if found
    ]
    if problems:
        where = ", ".join(p.name for p in files)
        raise Refusal(f"{where} in {files[0].parent} does not fit the configuration beside it. " + "; ".join(problems) + ".")
    with torch.no_grad():
        for key, target in own.items():
            if key in tensors:
                target.copy_(tensors[key])


def fingerprint(files: Iterable[Path]) -> str:
    """SHA-256 over the weight files, first 12 hex digits: the revision of a local checkpoint."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as handle:
            while chunk := handle.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()[:12]
