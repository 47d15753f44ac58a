"""Opening a checkpoint: one call for every family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import Refusal
from workbench.models.hub import WANTED, fetch, is_hub_id

if TYPE_CHECKING:
    import torch

    from workbench.models.protocol import Model

BAGEL_CONFIG = "llm_config.json"
CONFIGURATIONS = (BAGEL_CONFIG, "config.json")
"""What tells a checkpoint's folder: BAGEL's layout, transformers' layout."""
BASE_FILES = ("*.json", "*.txt", "ae.safetensors")
"""What a base gives; its own weights, 29 GB of them, are not fetched."""
EMBEDDED = Path(__file__).parents[2] / "assets" / "checkpoints"
"""Checkpoints that come with the workbench, by the name of their folder."""
DTYPES = ("float32", "bfloat16", "float16")
QUANTISED = ("8bit", "4bit")
KERNELS = ("auto", "sdpa", "eager", "flash_attention_2", "flash_attention_3")
WEIGHTS = ("auto", "ema", "model")


@dataclass(frozen=True)
class Opening:
    """How to open a checkpoint, beside what it is: everything that a person may choose.

    device: "auto" (a GPU where there is one), or what torch calls it. dtype: "auto" (float32 on a CPU,
    bfloat16 on a GPU) or one of DTYPES. revision: of a hub id, a branch, tag or commit. attention: the
    kernel, one of KERNELS; "auto" is sdpa, or eager for models that sdpa cannot compute. quantised: "" or one
    of QUANTISED, by bitsandbytes.

    The rest is for BAGEL's layout. base: a BAGEL folder or hub id that gives configuration, tokenizer and
    autoencoder where the checkpoint is weights alone, as CLEAR is published. weights: one of WEIGHTS, which
    of ema.safetensors and model.safetensors; "auto" is the first that is there. system_prompt: a text file
    that takes the place of the checkpoint's own prompt.
    """

    device: str = "auto"
    dtype: str = "auto"
    revision: str = ""
    attention: str = "auto"
    quantised: str = ""
    base: str = ""
    weights: str = "auto"
    system_prompt: str = ""

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("dtype", self.dtype, ("auto", *DTYPES)),
            ("attention", self.attention, KERNELS),
            ("quantised", self.quantised, ("", *QUANTISED)),
            ("weights", self.weights, WEIGHTS),
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
    base: str | Path = "",
    weights: str = "auto",
    system_prompt: str | Path = "",
    say: Say | None = None,
) -> Model:
    """Open a checkpoint and check it.

    `id_or_path`: the name of an embedded checkpoint, a folder in BAGEL's or in transformers' layout, an id on
    the Hugging Face hub, or, with a `base`, a folder or id of weights alone. The rest as in `Opening`.

    Raises Refusal where it is unknown, damaged, does not fit its configuration or the memory that is free, or
    fails `verify`.
    """
    opening = Opening(device, dtype, revision, attention, quantised, str(base), weights, str(system_prompt))
    folder, name = locate(id_or_path, revision, alone=bool(opening.base))
    below = _base(opening.base, folder) if opening.base else None
    where = usable(device)
    kind = _dtype(dtype, where)
    from workbench.models.verify import verify

    if below is not None or (folder / BAGEL_CONFIG).is_file():
        from workbench.models.bagel.load import load

        model: Model = load(folder, name=name, device=where, dtype=kind, opening=opening, base=below)
    else:
        if opening.weights != "auto" or opening.system_prompt:
            raise Refusal(
                f"{name} is in transformers' layout, which has one set of weights and no system prompt to "
                "choose. Leave both out."
            )
        from workbench.models.hf.load import load as load_hf

        model = load_hf(folder, name=name, device=where, dtype=kind, opening=opening, say=say)
    verify(model)
    return model


def _base(id_or_path: str, weights: Path) -> tuple[Path, str]:
    """The BAGEL folder under a folder of weights, and its name."""
    if own := [name for name in CONFIGURATIONS if (weights / name).is_file()]:
        raise Refusal(
            f"{weights} has a configuration of its own ({own[0]}), so it needs no base. Leave the base out, "
            "or give a folder with the weights alone."
        )
    folder, name = locate(id_or_path, files=BASE_FILES)
    if not (folder / BAGEL_CONFIG).is_file():
        raise Refusal(f"The base {id_or_path} has no {BAGEL_CONFIG}. Give a folder in BAGEL's layout.")
    return folder, name


def locate(
    id_or_path: str | Path, revision: str = "", *, alone: bool = False, files: Sequence[str] = WANTED
) -> tuple[Path, str]:
    """The folder of a checkpoint and the name it goes by; fetched from the hub where it is an id of it.

    `alone`: it is weights alone, without configuration. `files`: what to fetch. Raises Refusal where there is
    no such checkpoint.
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
        configured = is_folder and any((folder / name).is_file() for name in CONFIGURATIONS)
    except (OSError, ValueError, RuntimeError) as error:
        raise Refusal(f"{given!r} cannot be opened as a folder: {error}. Give another path.") from None
    name = folder.name
    if not exists and is_hub_id(given):
        folder, name, is_folder = fetch(given, revision or None, files), given, True
        configured = any((folder / file).is_file() for file in CONFIGURATIONS)
    elif not exists:
        raise Refusal(
            f"There is no checkpoint {given!r}: it is neither a folder nor an embedded one ({known}), and an "
            "id on the hub has the form OWNER/NAME. Check the spelling."
        )
    if not is_folder:
        raise Refusal(
            f"{given} is a file; a checkpoint is a folder with its configuration, weights and tokenizer. "
            "Give the folder."
        )
    if not configured and not alone:
        instead = "Give a folder that has one of them."
        if any(folder.glob("*.safetensors")):
            instead = "If its weights are CLEAR's, or others trained from BAGEL's, give BAGEL as the base."
        raise Refusal(
            f"{given} has neither config.json (transformers' layout) nor llm_config.json (BAGEL's), so it is "
            f"no checkpoint. {instead}"
        )
    return folder, name


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
