"""Opening a checkpoint: one call for every family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import Refusal
from workbench.models.hub import fetch, is_hub_id

if TYPE_CHECKING:
    import torch

    from workbench.models.protocol import Model

EMBEDDED = Path(__file__).parents[2] / "assets" / "checkpoints"
"""Checkpoints that come with the workbench, by the name of their folder."""
DTYPES = ("float32", "bfloat16", "float16")


QUANTISED = ("8bit", "4bit")
KERNELS = ("auto", "sdpa", "eager", "flash_attention_2", "flash_attention_3")


@dataclass(frozen=True)
class Opening:
    """How to open a checkpoint, beside what it is: everything that a person may choose.

    device: "auto" (a GPU where there is one), or what torch calls it. dtype: "auto" (float32 on a CPU,
    bfloat16 on a GPU) or one of DTYPES. revision: of a hub id, a branch, tag or commit. attention: the
    kernel, one of KERNELS; "auto" is sdpa, or eager for models that sdpa cannot compute. quantised: "" or one
    of QUANTISED, by bitsandbytes.
    """

    device: str = "auto"
    dtype: str = "auto"
    revision: str = ""
    attention: str = "auto"
    quantised: str = ""

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("dtype", self.dtype, ("auto", *DTYPES)),
            ("attention", self.attention, KERNELS),
            ("quantised", self.quantised, ("", *QUANTISED)),
        ):
            if value not in allowed:
                known = ", ".join(a or "none" for a in allowed)
                raise Refusal(f"The {name} {value!r} is not known. Choose one of {known}.")


Say = Callable[[str, float], None]
"""Told what is being done and the share of it that is done, 0 … 1."""


def open(
    id_or_path: str | Path = "pocket-bagel",
    *,
    device: str = "auto",
    dtype: str = "auto",
    revision: str = "",
    attention: str = "auto",
    quantised: str = "",
    say: Say | None = None,
) -> Model:
    """Open a checkpoint and check it.

    `id_or_path`: the name of an embedded checkpoint, a folder in BAGEL's or in transformers' layout, or an id
    on the Hugging Face hub. The rest as in `Opening`.

    Raises Refusal where it is unknown, damaged, does not fit its configuration or the memory that is free, or
    fails `verify`.
    """
    opening = Opening(device, dtype, revision, attention, quantised)
    folder, name = locate(id_or_path, revision)
    where = usable(device)
    kind = _dtype(dtype, where)
    from workbench.models.verify import verify

    if (folder / "llm_config.json").is_file():
        from workbench.models.bagel.load import load

        if quantised:
            raise Refusal("BAGEL folders are opened in full precision only. Leave quantisation out.")
        model: Model = load(folder, name=name, device=where, dtype=kind)
    else:
        from workbench.models.hf.load import load as load_hf

        model = load_hf(folder, name=name, device=where, dtype=kind, opening=opening, say=say)
    verify(model)
    return model


def locate(id_or_path: str | Path, revision: str = "") -> tuple[Path, str]:
    """The folder of a checkpoint and the name it goes by; fetched from the hub where it is an id of it.

    Raises Refusal where there is no such checkpoint.
    """
    given = str(id_or_path).strip()
    embedded = {p.name: p for p in sorted(EMBEDDED.glob("*")) if p.is_dir()}
    known = ", ".join(embedded) or "none"
    if not given:
        raise Refusal(
            f"No checkpoint was named: give a folder, a hub id, or the name of an embedded one ({known})."
        )
    if given in embedded:
        return embedded[given], given
    try:
        folder = Path(given).expanduser().resolve()
        exists, is_folder = folder.exists(), folder.is_dir()
        usable = is_folder and any((folder / name).is_file() for name in ("llm_config.json", "config.json"))
    except (OSError, ValueError, RuntimeError) as error:
        raise Refusal(f"{given!r} cannot be opened as a folder: {error}. Give another path.") from None
    if not exists and is_hub_id(given):
        return fetch(given, revision or None), given
    if not exists:
        raise Refusal(
            f"There is no checkpoint {given!r}: it is neither a folder nor an embedded one ({known}), and an "
            "id on the hub has the form OWNER/NAME. Check the spelling."
        )
    if not is_folder:
        raise Refusal(
            f"{given} is a file; a checkpoint is a folder with its configuration, weights and tokenizer. "
            "Give the folder."
        )
    if not usable:
        raise Refusal(
            f"{given} has neither config.json (transformers' layout) nor llm_config.json (BAGEL's), so it is "
            "no checkpoint. Give a folder that has one of them."
        )
    return folder, folder.name


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
