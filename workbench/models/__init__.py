"""Opening a checkpoint: one call for every family."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import Refusal

if TYPE_CHECKING:
    import torch

    from workbench.models.protocol import Model

EMBEDDED = Path(__file__).parents[2] / "assets" / "checkpoints"
"""Checkpoints that come with the workbench, by the name of their folder."""
DTYPES = ("float32", "bfloat16", "float16")


def open(id_or_path: str | Path = "pocket-bagel", *, device: str = "auto", dtype: str = "auto") -> Model:
    """Open a checkpoint and check it.

    `id_or_path`: the name of an embedded checkpoint, or a folder in BAGEL's layout. `device`: "auto" (a GPU
    where there is one), or what torch calls it. `dtype`: "auto" (float32 on a CPU, bfloat16 on a GPU) or one
    of DTYPES.

    Raises Refusal where it is unknown, damaged, does not fit its configuration, or fails `verify`.
    """
    folder = _folder(id_or_path)
    where = usable(device)
    kind = _dtype(dtype, where)
    from workbench.models.bagel.load import load
    from workbench.models.verify import verify

    model = load(folder, name=folder.name, device=where, dtype=kind)
    verify(model)
    return model


def _folder(id_or_path: str | Path) -> Path:
    given = str(id_or_path).strip()
    embedded = {p.name: p for p in sorted(EMBEDDED.glob("*")) if p.is_dir()}
    known = ", ".join(embedded) or "none"
    if not given:
        raise Refusal(f"No checkpoint was named: give a folder, or the name of an embedded one ({known}).")
    if given in embedded:
        return embedded[given]
    try:
        folder = Path(given).expanduser().resolve()
        exists, is_folder = folder.exists(), folder.is_dir()
        usable = is_folder and (folder / "llm_config.json").is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise Refusal(f"{given!r} cannot be opened as a folder: {error}. Give another path.") from None
    if not exists:
        raise Refusal(
            f"There is no checkpoint {given!r}: it is neither a folder nor an embedded one ({known}). "
            "Check the spelling."
        )
    if not is_folder:
        raise Refusal(
            f"{given} is a file; a checkpoint is a folder with its configuration, weights and tokenizer. "
            "Give the folder."
        )
    if not usable:
        raise Refusal(
            f"{given} has no llm_config.json, so it is not in BAGEL's layout, the one this version opens. "
            "Give a folder that is."
        )
    return folder


def usable(name: str) -> torch.device:
    """The device of that name, "auto" for a GPU where there is one. Raises Refusal where it is not usable."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type == "meta":
            raise RuntimeError("it holds no numbers")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise Refusal(f"The device {name!r} cannot be used: {reason}. Try cpu, or auto.") from None
    return device


def _dtype(name: str, device: torch.device) -> torch.dtype:
    import torch

    if name == "auto":
        name = "float32" if device.type == "cpu" else "bfloat16"
    if name not in DTYPES:
        raise Refusal(f"The dtype {name!r} is not known. Choose auto or one of {', '.join(DTYPES)}.")
    kind: torch.dtype = getattr(torch, name)
    return kind
