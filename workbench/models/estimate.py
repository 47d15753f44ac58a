"""Before anything is loaded: what a checkpoint will take, what is free, and what can be chosen here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.models import DTYPES, Opening, is_bagel, number_type, on_this_machine, plain, usable
from workbench.models.hub import cached, remote
from workbench.models.memory import bytes_per_number, free_on, in_words, size_of

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Estimate:
    """What opening a checkpoint takes.

    needed: bytes of its weights in memory, None where that is not known before it is downloaded. free: bytes
    on the device, None where it does not say. download: bytes still to be fetched, None for a checkpoint that
    is here; 0 where the hub does not say.
    """

    needed: int | None
    free: int | None
    download: int | None
    dtype: str
    device: str

    @property
    def fits(self) -> bool:
        """Whether nothing is known that speaks against it."""
        return self.needed is None or self.free is None or self.needed <= self.free

    @property
    def words(self) -> str:
        """The same in one line: "14.2 GiB in bfloat16; 9.1 GiB free on cpu"."""
        parts = []
        if self.download is not None:
            size = f", {in_words(self.download)}" if self.download else ""
            parts.append(f"not on this machine yet: opening it downloads it{size}")
        if self.needed is not None:
            parts.append(f"{in_words(self.needed)} in {self.dtype}")
        if self.needed is not None and self.free is not None:
            parts.append(f"{in_words(self.free)} free on {self.device}")
        line = "; ".join(parts)
        if not self.fits:
            line += ". It does not fit: close another model, take smaller numbers, or another device"
        return line[:1].upper() + line[1:]


def estimate(name: str, opening: Opening) -> Estimate:
    """What opening `name` will take, from the headers of its files or, before the download, from the hub.

    Raises Refusal where there is no such checkpoint, or its files or the device cannot be used.
    """
    alone = bool(opening.base)
    name = plain(name)
    folder = on_this_machine(name, opening.revision, alone=alone)
    if folder is None:
        folder = cached(name, opening.revision)
    device = usable(opening.device)
    kind = number_type(opening.dtype, device)
    each = bytes_per_number(kind, opening.quantised)
    download, needed = None, None
    if folder is not None:
        needed = size_of(weights_of(folder, opening)).bytes(each)
    else:
        found = remote(name, opening.revision)
        download = found.bytes if found else 0
        needed = int(found.floats * each) if found and found.floats else None
    shared = opening.device == "auto" and not opening.quantised
    return Estimate(
        needed,
        _free(device, shared),
        download,
        opening.quantised or str(kind).removeprefix("torch."),
        str(device),
    )


def weights_of(folder: Path, opening: Opening) -> list[Path]:
    """The weight files of a folder in either layout. Raises Refusal where one is missing.

    The autoencoder of a base, a hundredth of the rest, is not among them.
    """
    from workbench.models.checkpoint import BAGEL_PIXELS, BAGEL_WEIGHTS, WEIGHTS, find_weights

    if opening.base:
        return find_weights(folder, BAGEL_WEIGHTS[opening.weights])
    if is_bagel(folder):
        return [*find_weights(folder, BAGEL_WEIGHTS[opening.weights]), *find_weights(folder, BAGEL_PIXELS)]
    return find_weights(folder, WEIGHTS)


def _free(device: torch.device, shared: bool) -> int | None:
    """Bytes free on the device; on all GPUs together where the weights may be shared out among them."""
    import torch

    if device.type == "cuda" and shared:
        found = [free_on(torch.device("cuda", k)) for k in range(torch.cuda.device_count())]
        return sum(free for free in found if free is not None)
    return free_on(device)


@dataclass(frozen=True)
class Choices:
    """What can be chosen on this machine, "auto" first; ``limits`` says in one line what cannot, and why."""

    devices: tuple[str, ...]
    dtypes: tuple[str, ...]
    attention: tuple[str, ...]
    quantised: tuple[str, ...]
    limits: str


def choices() -> Choices:
    """What works here: devices that are there, kernels and quantisation whose packages are."""
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    devices = ["auto", "cpu", *(["cuda"] if gpus == 1 else [f"cuda:{k}" for k in range(gpus)])]
    if torch.backends.mps.is_available():
        devices.append("mps")
    if not gpus:
        return Choices(
            tuple(devices),
            ("auto", *DTYPES),
            ("auto", "sdpa", "eager"),
            ("",),
            "Flash attention and 8 or 4 bit need a CUDA device, which this machine has not.",
        )
    flash = [
        (f"flash_attention_{number}", package)
        for number, package in ((2, "flash_attn"), (3, "flash_attn_interface"))
    ]
    kernels = [name for name, package in flash if find_spec(package)]
    bits = ("8bit", "4bit") if find_spec("bitsandbytes") else ()
    lacking = ["flash attention the package flash-attn"] if not kernels else []
    lacking += ["8 and 4 bit the package bitsandbytes"] if not bits else []
    limits = f"Not installed: for {', for '.join(lacking)}." if lacking else ""
    return Choices(
        tuple(devices), ("auto", *DTYPES), ("auto", "sdpa", "eager", *kernels), ("", *bits), limits
    )
