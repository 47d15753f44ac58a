"""What a checkpoint's weights will take, told from the headers of its files, and what a device has free."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import Refusal
from workbench.models.bits import in_transformers

if TYPE_CHECKING:
    import torch

    from workbench.models import Opening

FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
LONGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""


@dataclass(frozen=True)
class Size:
    """What the weight files hold: numbers of floating point that quantising makes small, and others; bytes of
    everything else.
    """

    linear: int
    floats: int
    other_bytes: int

    def bytes(self, dtype: torch.dtype, quantised: str = "") -> int:
        """Bytes in memory in that number type, quantised or not."""
        small = int(self.linear * bytes_per_number(dtype, quantised))
        return small + self.floats * dtype.itemsize + self.other_bytes


def size_of(files: Sequence[Path], small: Callable[[str], bool] = in_transformers) -> Size:
    """Count the numbers in safetensors files from their headers; reads no weight.

    small: which matrices, by their names, quantising makes small.

    Raises Refusal where a header is damaged.
    """
    linear = floats = other = 0
    for path in files:
        for stored in header(path):
            if stored.kind not in FLOATS:
                other += stored.bytes
            elif stored.matrix and small(stored.name):
                linear += stored.count
            else:
                floats += stored.count
    return Size(linear, floats, other)


def bytes_per_number(dtype: torch.dtype, quantised: str = "") -> float:
    """Bytes that a weight takes, with the scales of its block where it is quantised."""
    return {"8bit": 1.05, "4bit": 0.56}.get(quantised, float(dtype.itemsize))


@dataclass(frozen=True)
class Stored:
    """One tensor as a header promises it; kind: its number type's name in safetensors."""

    name: str
    kind: str
    shape: tuple[int, ...]
    bytes: int

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def matrix(self) -> bool:
        """Whether it has two axes."""
        return len(self.shape) == 2


def header(path: Path) -> list[Stored]:
    """What a safetensors file holds; reads no weight. Raises Refusal where it is damaged or cut off."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            if start == b"version ":
                raise ValueError("it is a pointer of Git LFS; git lfs pull fetches what it points to")
            (length,) = struct.unpack("<Q", start)
            if length > LONGEST_HEADER:
                raise ValueError("its header is too long")
            found = json.loads(file.read(length))
            size = file.seek(0, 2)
        found.pop("__metadata__", None)
        promised = 8 + length + max((entry["data_offsets"][1] for entry in found.values()), default=0)
        if size < promised:
            raise ValueError(f"it has {size:,} of {promised:,} bytes")
        return [
            Stored(
                name,
                str(entry["dtype"]),
                tuple(int(side) for side in entry["shape"]),
                entry["data_offsets"][1] - entry["data_offsets"][0],
            )
            for name, entry in found.items()
        ]
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError, IndexError) as error:
        raise Refusal(
            f"{path} is not a whole safetensors file ({error}). It was cut off or is of another format: "
            "fetch it again."
        ) from None


def free_for(opening: Opening, device: torch.device, *, bagel: bool = False) -> int | None:
    """Bytes free for an opening: on all GPUs together where the weights may be shared out among them.

    Quantised weights are shared out where they are of BAGEL's layout.
    """
    import torch

    if device.type == "cuda" and opening.device == "auto" and (bagel or not opening.quantised):
        found = [free_on(torch.device("cuda", k)) for k in range(torch.cuda.device_count())]
        return sum(free for free in found if free is not None)
    return free_on(device)


def free_on(device: torch.device) -> int | None:
    """Bytes free on a device, None where it does not say."""
    import torch

    if device.type == "cuda":
        # What torch holds back from earlier models counts as free: it takes from that first.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    if device.type == "cpu":
        try:
            lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
            return 1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
        except (OSError, StopIteration):
            return None
    return None


def in_words(size: int) -> str:
    """Bytes for reading: "15.2 GiB", "310 MiB"."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{max(1, round(size / 2**20))} MiB"


def demand(needed: int, free: int | None, name: str, device: str, dtype: str) -> None:
    """Raise Refusal where weights of `needed` bytes do not fit in what is free; `dtype` may be quantised."""
    if free is not None and needed > free:
        smaller = " bfloat16 halves it;" if dtype == "float32" else ""
        bits = {"4bit": "", "8bit": "take 4 bits, "}.get(dtype, "quantise it, ")
        if not find_spec("bitsandbytes"):
            bits = ""  # which that takes
        raise Refusal(
            f"{name} needs {in_words(needed)} for its weights in {dtype}, and {device} has {in_words(free)} "
            f"free.{smaller} Close other models and programs, {bits}or open it on another device."
        )
