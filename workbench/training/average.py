"""The weighted mean of checkpoints that were trained on from the same one ("model soups").

Wortsman et al. (ICML 2022, section 2): weights of runs with a common start often lie in one basin, and their
mean generalises better than each. Here it is what read colour and shape in combinations never shown best.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from workbench.errors import Refusal
from workbench.training.state import write_tensors

WEIGHTS = "ema.safetensors"
OF_ONE = (WEIGHTS, "measured.json", "README.md")
"""Files that belong to one checkpoint and are not taken over: its weights and what was measured of them."""


def average(folders: Sequence[Path], shares: Sequence[float], target: Path) -> None:
    """Write to `target` the mean of the folders' network weights, in float16; all else is the first's.

    shares: one for each folder, above 0; they are divided by their sum.

    Raises:
        Refusal: fewer than two folders, as many shares as folders are not given, or the checkpoints differ in
            names or shapes of weights, or in anything but weights.
    """
    if len(folders) < 2 or len(shares) != len(folders) or min(shares, default=0) <= 0:
        raise Refusal(
            "An average needs two or more checkpoints and a share above 0 for each; "
            f"{len(folders)} checkpoints "
            f"and {len(shares)} shares are given."
        )
    first = folders[0]
    total: dict[str, torch.Tensor] = {}
    for folder, share in zip(folders, shares, strict=True):
        if not (folder / WEIGHTS).is_file():
            raise Refusal(f"{folder} holds no {WEIGHTS}: give folders that training has published.")
        _same(first, folder)
        tensors = load_file(folder / WEIGHTS)
        if total and {k: v.shape for k, v in tensors.items()} != {k: v.shape for k, v in total.items()}:
            raise Refusal(f"{folder} and {first} differ in the names or shapes of their weights.")
        for name, values in tensors.items():
            part = values.double() * (share / sum(shares))
            total[name] = total[name] + part if name in total else part
    target.mkdir(parents=True, exist_ok=True)
    for path in first.iterdir():
        if path.is_file() and path.name not in OF_ONE:
            shutil.copyfile(path, target / path.name)
    write_tensors({name: values.half() for name, values in total.items()}, target / WEIGHTS)


def _same(first: Path, other: Path) -> None:
    """Refuse checkpoints that differ in more than the network's weights."""
    for path in sorted(first.iterdir()):
        if path.suffix in (".json", ".safetensors") and path.name not in OF_ONE:
            beside = other / path.name
            if not beside.is_file() or beside.read_bytes() != path.read_bytes():
                raise Refusal(f"{other} and {first} differ in {path.name}: they have no common start.")
