"""Opening a checkpoint: one call for every family."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import Refusal

if TYPE_CHECKING:
    from workbench.models.protocol import Model

EMBEDDED = Path(__file__).parents[2] / "assets" / "checkpoints"
"""Checkpoints that come with the workbench, by the name of their folder."""


def open(id_or_path: str | Path = "pocket-bagel", *, device: str = "auto", dtype: str = "auto") -> Model:
    """Open a checkpoint and check it.

    `id_or_path`: the name of an embedded checkpoint, or a folder in BAGEL's layout. `device`: "auto" (a GPU where
    there is one), or what torch calls it. `dtype`: "auto" (float32 on a CPU, bfloat16 on a GPU) or a torch name.

    Raises Refusal where it is unknown, damaged, does not fit its configuration, or fails `verify`.
    """
    folder = _folder(id_or_path)
    from workbench.models.bagel.load import load
    from workbench.models.verify import verify

    where, kind = _device_and_dtype(device, dtype)
    model = load(folder, name=folder.name, device=where, dtype=kind)  # type: ignore[arg-type]
    verify(model)
    return model


def _folder(id_or_path: str | Path) -> Path:
    given = str(id_or_path).strip()
    if not given:
        raise Refusal("No checkpoint was named: give a folder, or the name of an embedded one.")
    embedded = EMBEDDED / given
    if "/" not in given and embedded.is_dir():
        return embedded
    folder = Path(given).expanduser()
    known = ", ".join(sorted(p.name for p in EMBEDDED.iterdir() if p.is_dir())) if EMBEDDED.is_dir() else "none"
    if not folder.exists():
        raise Refusal(f"There is no checkpoint {given!r}: it is neither a folder nor an embedded one ({known}).")
    if not folder.is_dir():
        raise Refusal(f"{given} is a file; a checkpoint is a folder with its configuration, weights and tokenizer.")
    if not (folder / "llm_config.json").is_file():
        raise Refusal(f"{given} has no llm_config.json, so it is not in BAGEL's layout, the one this version opens.")
    return folder


def _device_and_dtype(device: str, dtype: str) -> tuple[object, object]:
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        where = torch.device(device)
        torch.empty(0, device=where)
    except (RuntimeError, AssertionError) as error:
        raise Refusal(f"The device {device!r} cannot be used: {str(error).splitlines()[0]}") from None
    if dtype == "auto":
        return where, torch.float32 if where.type == "cpu" else torch.bfloat16
    kind = getattr(torch, dtype, None)
    if kind not in (torch.float32, torch.bfloat16, torch.float16):
        raise Refusal(f"dtype {dtype!r} is not one of float32, bfloat16, float16, auto.")
    return where, kind
