"""Before anything is loaded: what a checkpoint will take, what is free, and what can be chosen here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from workbench.errors import Refusal
from workbench.models import (
    DTYPES,
    Opening,
    foresee,
    is_bagel,
    number_type,
    on_this_machine,
    plain,
    refuse_unconfigured,
    usable,
)
from workbench.models.bits import FLASH, in_bagel, in_transformers
from workbench.models.hub import CONFIGURING, DESCRIBING, Remote, cached, fetch, remote
from workbench.models.memory import bytes_per_number, free_for, in_words, size_of
from workbench.models.weights import BAGEL_PIXELS, complete, find_weights, groups, has_weights, wanted


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
        parts: list[str] = []
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
    name = plain(name)
    device = usable(opening.device)
    kind = number_type(opening.dtype, device)
    download, needed, bagel = None, None, bool(opening.base)
    folder = _here(name, opening)
    if folder is not None:
        bagel = bagel or is_bagel(folder)
        files = [path for names in groups(opening, bagel=bagel) for path in find_weights(folder, names)]
        if opening.base and (base := _base(opening)) and has_weights(base, *BAGEL_PIXELS):
            files += find_weights(base, BAGEL_PIXELS)
        needed = size_of(files, in_bagel if bagel else in_transformers).bytes(kind, opening.quantised)
    elif (about := remote(name, opening.revision)) is None:
        download = 0
    else:
        folder = _configured(name, opening, about)
        bagel = bagel or is_bagel(folder)
        asked = groups(opening, bagel=bagel)
        download = about.bytes((*DESCRIBING, *wanted(folder, asked, about.files, name)))
        needed = int(about.floats * bytes_per_number(kind, opening.quantised)) if about.floats else None
    return Estimate(
        needed,
        free_for(opening, device, bagel=bagel),
        download,
        opening.quantised or str(kind).removeprefix("torch."),
        str(device),
    )


def foreseen(name: str, opening: Opening) -> str:
    """Why `name` will not be opened, as far as its configuration tells; empty where nothing is known.

    Before a download it is the configuration alone that is fetched, where the hub answers.
    """
    name = plain(name)
    try:
        folder = _here(name, opening)
        if folder is None and (about := remote(name, opening.revision)) is not None:
            folder = _configured(name, opening, about)
        base = _base(opening)
        if folder is None or (opening.base and base is None) or opening.trust_remote_code:
            return ""  # there is nothing to go by, or code would have to be run to read it
        foresee(folder, opening, base)
    except Refusal as refusal:
        return str(refusal)
    return ""


def _base(opening: Opening) -> Path | None:
    """The folder of the base, where one is asked for and is on this machine."""
    below = plain(opening.base)
    return (on_this_machine(below) or cached(below)) if below else None


def _here(name: str, opening: Opening) -> Path | None:
    """The folder of a checkpoint that is on this machine with its weights; None for one of the hub's."""
    folder = on_this_machine(name, opening.revision, alone=bool(opening.base))
    if folder is not None:
        return folder
    folder = cached(name, opening.revision)
    if folder is None:
        return None
    asked = groups(opening, bagel=bool(opening.base) or is_bagel(folder))
    whole = all(any(complete(folder, each) for each in names) for names in asked)
    return folder if whole else None


def _configured(name: str, opening: Opening, about: Remote) -> Path:
    """The folder of a hub repository's configuration. Raises Refusal where it is none that can be opened."""
    folder = fetch(name, opening.revision, CONFIGURING)
    if not opening.base:
        refuse_unconfigured(name, folder, about.files)
    return folder


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
    kernels = [name for name, package in FLASH.items() if gpus and find_spec(package)]
    bits = ("8bit", "4bit") if find_spec("bitsandbytes") else ()
    lacking = ["flash attention the package flash-attn"] if gpus and not kernels else []
    lacking += ["8 and 4 bit the package bitsandbytes"] if not bits else []
    limits = "" if gpus else "Flash attention needs a CUDA device, which this machine has not. "
    limits += f"Not installed: for {', for '.join(lacking)}." if lacking else ""
    return Choices(
        tuple(devices), ("auto", *DTYPES), ("auto", "sdpa", "eager", *kernels), ("", *bits), limits.strip()
    )
