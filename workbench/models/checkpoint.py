"""Weights from disk into a network: safetensors only, names and shapes checked before anything is copied."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from workbench.errors import Refusal
from workbench.models.progress import Say, silent
from workbench.models.weights import listing

Put = Callable[[str, torch.Tensor], torch.Tensor]
"""Puts the tensor of a name into its place and returns its numbers as they are used."""
READABLE = ("F64", "F32", "F16", "BF16")
"""Number types, by their safetensors names, that a weight may be stored in."""
ORDINARY = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
"""Number types that can be told to be finite; the rest are whole numbers, or 8 bits with scales beside."""


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
    refuse_repeated(files)
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
    problems = [f"Tensors {label}: {listing(keys)}." for label, keys in found.items() if keys]
    if problems:
        names = listing([p.name for p in files])
        where, advice = "beside it", "Take weights and configuration from the same place."
        if base is not None:
            where, advice = f"in {base}", "Give the base that these weights were trained from."
        raise Refusal(
            f"{names} in {files[0].parent} does not fit the configuration {where}. "
            f"{' '.join(problems)} {advice}"
        )


def refuse_repeated(files: Sequence[Path]) -> None:
    """Raise Refusal where more than one of the files holds a tensor of the same name: which is meant?"""
    owners: dict[str, list[str]] = {}
    for path in files if len(files) > 1 else ():
        with _open(path) as handle:
            for key in handle.keys():  # noqa: SIM118 - not a dict
                owners.setdefault(key, []).append(path.name)
    repeated = [f"{key} ({' and '.join(at)})" for key, at in sorted(owners.items()) if len(at) > 1]
    if repeated:
        raise Refusal(
            f"The shards in {files[0].parent} hold twice: {listing(repeated)}. Which is meant cannot "
            "be told. Fetch the shards again, all of one revision."
        )


def refuse_whole_numbers(files: Sequence[Path]) -> None:
    """Raise Refusal where a matrix is stored in no type of `READABLE`, as quantised weights are.

    For folders that do not say that they are quantised; then nothing tells what the numbers stand for.
    """
    strange: list[str] = []
    for path in files:
        with _open(path) as handle:
            for key in handle.keys():  # noqa: SIM118 - not a dict
                part = handle.get_slice(key)
                if len(part.get_shape()) > 1 and part.get_dtype() not in READABLE and key.endswith("weight"):
                    strange.append(f"{key} is {part.get_dtype()}")
    if strange:
        raise Refusal(
            f"The weights in {files[0].parent} are of a number type that is not read: {listing(strange)}, "
            f"should be one of {', '.join(READABLE)}. The configuration names no quantisation that would say "
            "what they stand for. Take weights and configuration from the same place."
        )


def load_strict(
    module: nn.Module, files: Sequence[Path], *, regenerated: Sequence[str] = (), say: Say = silent
) -> None:
    """Fill `module` from safetensors files, one tensor at a time; names and shapes must match exactly.

    `say` hears of each tensor. Raises Refusal as `check` does, before anything is changed; and where a number
    is not finite in the module's own number type, after which the module is not to be used.
    """
    check(module, files, regenerated=regenerated)
    own = module.state_dict()
    fill(files, lambda key, value: own[key].copy_(value), len(own), say=say)


def fill(files: Sequence[Path], put: Put, total: int, *, say: Say = silent) -> None:
    """Hand `put` every tensor of files that `check` has passed, with its name; `total` are expected.

    Raises Refusal where what it returns, the numbers as they are used, is not finite. No more than one tensor
    is in the memory of the host, and that as pages of the file which the system may take back.
    """
    done = 0
    for number, path in enumerate(files, start=1):
        words = "Loading weights" + (f", shard {number} of {len(files)}" if len(files) > 1 else "")
        with _open(path) as handle, torch.no_grad():
            for key in handle.keys():  # noqa: SIM118 - not a dict
                done += 1
                say(words, done / total)
                if not finite(used := put(key, handle.get_tensor(key))):
                    raise unsound(path, key, used.dtype)


def finite(numbers: torch.Tensor) -> bool:
    """Whether every number of a tensor is."""
    if numbers.dtype not in ORDINARY or not numbers.numel():
        return True
    # What is not a number comes through both; `isfinite` of each number takes forty times as long.
    return bool(torch.stack(numbers.aminmax()).isfinite().all())


def check_finite(files: Sequence[Path]) -> None:
    """Raise Refusal with the first tensor in the files that holds a number which is not finite."""
    for path in files:
        with _open(path) as handle:
            for key in handle.keys():  # noqa: SIM118 - not a dict
                if not finite(value := handle.get_tensor(key)):
                    raise unsound(path, key, value.dtype)


def unsound(where: Path, name: str, kind: torch.dtype) -> Refusal:
    """That a tensor holds numbers that are not finite."""
    dtype = str(kind).removeprefix("torch.")
    return Refusal(
        f"{where}: {name} holds numbers that are not finite in {dtype}. "
        + (
            "Fetch the file again."
            if kind == torch.float32
            else "Fetch the file again, or open it as float32."
        )
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
