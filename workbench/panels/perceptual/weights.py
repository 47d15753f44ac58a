"""Learned weights from disk or the network: found by their published names, checked, and never made up."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING

from probes.perceptual.published import TRUNKS
from workbench.errors import Refusal, go_on
from workbench.models.protocol import never
from workbench.panels.perceptual.config import WEIGHTS
from workbench.runs.export import whole
from workbench.runs.store import check_room, megabytes, told

if TYPE_CHECKING:
    from torch import Tensor

ADDRESS = "https://download.pytorch.org/models/"
TIMEOUT = 10.0
"""Seconds within which a server answers, or there is no network."""
PIECE = 1 << 20
LARGEST = 1_000_000_000
"""Bytes; more than any of these files has."""
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Published:
    """torchvision's file of a trunk. Its name ends in the first digits of its sha256; size: bytes."""

    name: str
    size: int

    @property
    def digits(self) -> str:
        """The beginning of the sha256 that the file has."""
        return self.name.rpartition("-")[2].partition(".")[0]


FILES = {
    "alex": Published("alexnet-owt-7be5be79.pth", 244_408_911),
    "vgg": Published("vgg16-397923af.pth", 553_433_881),
    "squeeze": Published("squeezenet1_1-b8a52dc0.pth", 4_966_400),
}
HEADS = {
    **{f"lpips-{name}": ("lpips", f"weights/v0.1/{name}.pth") for name in TRUNKS},
    "dists": ("torchmetrics", "functional/image/dists_models/weights.pt"),
}
"""What is fitted on top of a trunk, by measure: the package that ships it, and where."""


def places(given: str) -> list[Path]:
    """Folders in which weights are looked for: the given one, the environment's, torch's cache."""
    named = [Path(each).expanduser() for each in (given, os.environ.get(WEIGHTS, "")) if each]
    return [*named, cache()]


def cache() -> Path:
    """Where torch keeps what it downloads; torch itself is not asked, as that takes seconds."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def found(trunk: str, given: str = "") -> Path | None:
    """The file with a trunk's weights: the published one, or in safetensors, such as alexnet.safetensors."""
    name = FILES[trunk].name
    plain = name.partition("-")[0]
    for folder in places(given):
        for each in (name, f"{name.removesuffix('.pth')}.safetensors", f"{plain}.safetensors"):
            if (folder / each).is_file():
                return folder / each
    return None


def fetched(
    trunk: str,
    given: str = "",
    *,
    download: bool = True,
    progress: Progress = lambda share, words: None,
    stop: Callable[[], bool] = never,
) -> Path:
    """The file with a trunk's weights, downloaded to torch's cache where it is not on this machine.

    Raises:
        Refusal: it is nowhere, with where it may be laid; or the folder given is none.
        Cancelled: once ``stop`` says so.
    """
    if given and not Path(given).expanduser().is_dir():
        raise Refusal(f"“{given}” is no folder. Name the one that {FILES[trunk].name} lies in.")
    if path := found(trunk, given):
        return path
    about, network = FILES[trunk], ""
    if download:
        try:
            return _downloaded(about, TRUNKS[trunk].name, progress, stop)
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            network = f" and cannot be downloaded ({getattr(error, 'reason', error)})"
    raise Refusal(
        f"The weights of {TRUNKS[trunk].name} are not on this machine{network}. Lay {about.name} "
        f"({megabytes(about.size)}, {ADDRESS}{about.name}) into a folder and name that with --backbones "
        f"or {WEIGHTS}."
    )


def _downloaded(about: Published, name: str, progress: Progress, stop: Callable[[], bool]) -> Path:
    """Fetch a published file; it appears whole and with the right digest, or not at all."""
    path = cache() / about.name
    with urllib.request.urlopen(ADDRESS + about.name, timeout=TIMEOUT) as source:
        with told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        check_room(about.size, path.parent)
        digest, done = hashlib.sha256(), 0
        with whole(path) as fresh:
            with told(path), fresh.open("wb") as file:
                while piece := source.read(PIECE):
                    go_on(stop)
                    file.write(piece)
                    digest.update(piece)
                    done += len(piece)
                    words = f"downloading {name}, {megabytes(done)} of {megabytes(about.size)}"
                    progress(min(1.0, done / about.size), words)
            if not digest.hexdigest().startswith(about.digits):
                raise Refusal(f"{about.name} came damaged over the network. Try again.")
    return path


def state(path: Path) -> Mapping[str, Tensor]:
    """A state dict from safetensors or from torch's format, of which nothing but tensors is read.

    Raises:
        Refusal: the file is damaged, or holds other things.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        import torch

        read = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(read, Mapping) or not all(isinstance(each, torch.Tensor) for each in read.values()):
            raise ValueError("it is no table of tensors")
        return read
    except Exception as error:  # Whatever the parsers say of a file that somebody else made.
        said = str(error).partition("\n")[0]
        raise Refusal(
            f"“{path.name}” cannot be read as weights ({said}). Fetch it again from {ADDRESS}."
        ) from error


def digest(path: Path) -> str:
    """sha256 of a file, 64 hexadecimal digits; a large one is read once as long as it does not change.

    Raises:
        Refusal: it cannot be read, is far too large, or bears a published name and is another file.
    """
    with told(path):
        about = path.stat()
        if about.st_size > LARGEST:
            raise Refusal(
                f"“{path.name}” is larger than any of these weights. Fetch it again from {ADDRESS}."
            )
        found = _digest(path, about.st_size, about.st_mtime_ns)
    for published in FILES.values():
        if path.name == published.name and not found.startswith(published.digits):
            raise Refusal(
                f"“{path.name}” is not what torchvision published under that name: its sha256 begins "
                f"with {found[:8]}. "
                f"Fetch it again from {ADDRESS}."
            )
    return found


@lru_cache(maxsize=32)
def _digest(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def heads(measure: str, given: str = "") -> Path:
    """The file fitted on top of the trunk for a measure; the package that ships it is not imported.

    For DISTS also "dists.pt" or "weights.pt" in a folder given.

    Raises:
        Refusal: it is not there.
    """
    package, inside = HEADS[measure]
    if measure == "dists":
        for folder in places(given):
            for name in ("DISTS.pt", "dists.pt", "weights.pt"):
                if (folder / name).is_file():
                    return folder / name
    spec = util.find_spec(package)
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        if (path := Path(place) / inside).is_file():
            return path
    raise Refusal(f"{measure} needs the package {package}, which ships its weights: pip install {package}.")
