"""What a checkpoint's weights will take, told from the headers of its files, and what a device has free."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import Refusal

if TYPE_CHECKING:
    import torch

FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
LONGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""


@dataclass(frozen=True)
class Size:
    """Numbers in the weight files: of floating point, and the bytes of everything else."""

    floats: int
    other_bytes: int

    def bytes(self, per_number: float) -> int:
        """Bytes in memory with so many bytes a number."""
        return int(self.floats * per_number) + self.other_bytes


def size_of(files: Sequence[Path]) -> Size:
    """Count the numbers in safetensors files from their headers; reads no weight.

    Raises Refusal where a header is damaged.
    """
    floats = other = 0
    for path in files:
        for stored in _header(path):
            if stored.kind in FLOATS:
                floats += stored.count
            else:
                other += stored.bytes
    return Size(floats, other)


def bytes_per_number(dtype: torch.dtype, quantised: str = "") -> float:
    """Bytes that a weight takes, with the scales of its block where it is quantised."""
    return {"8bit": 1.05, "4bit": 0.56}.get(quantised, float(dtype.itemsize))


@dataclass(frozen=True)
class _Stored:
    """One tensor as a header promises it."""

    kind: str
    count: int
    bytes: int


def _header(path: Path) -> list[_Stored]:
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
            _Stored(
                str(entry["dtype"]),
                math.prod(entry["shape"]),
                entry["data_offsets"][1] - entry["data_offsets"][0],
            )
            for entry in found.values()
        ]
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError, IndexError) as error:
        raise Refusal(
            f"{path} is not a whole safetensors file ({error}). It was cut off or is of another format: "
            "fetch it again."
        ) from None


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


def demand(
    needed: int, free: int | None, name: str, device: str, dtype: str, *, quantisable: bool = True
) -> None:
    """Raise Refusal where weights of `needed` bytes do not fit in what is free."""
    if free is not None and needed > free:
        smaller = "" if dtype in ("bfloat16", "float16") else " bfloat16 halves it;"
        or_quantise = "quantise it, " if quantisable else ""
        raise Refusal(
            f"{name} needs {in_words(needed)} for its weights in {dtype}, and {device} has {in_words(free)} "
            f"free.{smaller} Close other models and programs, {or_quantise}or open it on another device."
        )
