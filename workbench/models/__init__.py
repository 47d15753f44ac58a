"""Opening a checkpoint: one call for every family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import Refusal
from workbench.models.hub import CODE, DESCRIBING, WANTED, cached, fetch, is_hub_id
from workbench.models.progress import Say, part

if TYPE_CHECKING:
    import torch

    from workbench.models.protocol import Model

BAGEL_CONFIG = "llm_config.json"
CONFIGURATIONS = (BAGEL_CONFIG, "config.json")
"""What tells a checkpoint's folder: BAGEL's layout, transformers' layout."""
BASE_FILES = ("*.json", "*.txt", "ae.safetensors")
"""What a base gives; its own weights, 29 GB of them, are not fetched."""
HUB = "https://huggingface.co/"
"""Left out where an address of the hub is given in place of an id."""
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
    of QUANTISED, by bitsandbytes. trust_remote_code: run Python code that comes with a checkpoint in
    transformers' layout, where transformers has no class of its own for it.

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
    trust_remote_code: bool = False

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
    trust_remote_code: bool = False,
    say: Say | None = None,
) -> Model:
    """Open a checkpoint and check it.

    `id_or_path`: the name of an embedded checkpoint, a folder in BAGEL's or in transformers' layout, an id on
    the Hugging Face hub, or, with a `base`, a folder or id of weights alone. The rest as in `Opening`. `say`
    hears how far it is, the share of all that is to be done once the files are there; before that, the share
    of what is downloaded.

    Raises Refusal where it is unknown, damaged, does not fit its configuration or the memory that is free, or
    fails `verify`.
    """
    opening = Opening(
        *(device, dtype, revision, attention, quantised, str(base), weights, str(system_prompt)),
        trust_remote_code,
    )
    (folder, name), below = sources(id_or_path, opening, say=say)
    where = usable(device)
    kind = number_type(dtype, where)
    from workbench.models.verify import verify

    loading = part(say, 0.0, 0.97)
    if below is not None or is_bagel(folder):
        from workbench.models.bagel.load import load

        model: Model = load(
            folder, name=name, device=where, dtype=kind, opening=opening, base=below, say=loading
        )
    else:
        if opening.weights != "auto" or opening.system_prompt:
            raise Refusal(
                f"{name} is in transformers' layout, which has one set of weights and no system prompt to "
                "choose. Leave both out."
            )
        from workbench.models.hf.load import load as load_hf

        model = load_hf(folder, name=name, device=where, dtype=kind, opening=opening, say=loading)
    part(say, 0.97, 1.0)("Checking what is read against what it computes", 0.0)
    verify(model)
    part(say, 0.97, 1.0)("Open", 1.0)
    return model


def sources(
    id_or_path: str | Path, opening: Opening, *, say: Say | None = None
) -> tuple[tuple[Path, str], tuple[Path, str] | None]:
    """What an opening reads, downloaded if need be: folder and name of the checkpoint, and of its base.

    `say` hears how much is downloaded. Raises Refusal where one is not there, or they do not go together.
    """
    files = (*WANTED, *CODE) if opening.trust_remote_code else WANTED
    if not opening.base:
        _admit(plain(id_or_path), opening)
    folder, name = locate(id_or_path, opening.revision, alone=bool(opening.base), files=files, say=say)
    if not opening.base:
        return (folder, name), None
    if own := [file for file in CONFIGURATIONS if (folder / file).is_file()]:
        raise Refusal(
            f"{folder} has a configuration of its own ({own[0]}), so it needs no base. Leave the base out, "
            "or give a folder with the weights alone."
        )
    base = locate(opening.base, files=BASE_FILES, say=say)
    if not is_bagel(base[0]):
        raise Refusal(f"The base {opening.base} has no {BAGEL_CONFIG}. Give a folder in BAGEL's layout.")
    return (folder, name), base


def _admit(given: str, opening: Opening) -> None:
    """Refuse what will not be opened before its weights are downloaded."""
    if on_this_machine(given, opening.revision) is not None or cached(given, opening.revision) is not None:
        return
    code = CODE if opening.trust_remote_code else ()
    folder = fetch(given, opening.revision, (*DESCRIBING, *code))
    _refuse_unconfigured(given, folder, alone=False)
    if not is_bagel(folder):
        from workbench.models.hf.load import known

        known(folder, opening)


def locate(
    id_or_path: str | Path,
    revision: str = "",
    *,
    alone: bool = False,
    files: Sequence[str] = WANTED,
    say: Say | None = None,
) -> tuple[Path, str]:
    """The folder of a checkpoint and the name it goes by; fetched from the hub where it is an id of it.

    `alone`: it is weights alone, without configuration. `files`: what to fetch. `say` hears how much is
    downloaded. Raises Refusal where there is no such checkpoint.
    """
    given = plain(id_or_path)
    folder = on_this_machine(given, revision, alone=alone)
    if folder is not None:
        return folder, given if given in embedded() else folder.name
    folder = fetch(given, revision, files, say=say)
    _refuse_unconfigured(given, folder, alone)
    return folder, given


def plain(given: str | Path) -> str:
    """What was given without white space and, where it is a page of the hub, as the id."""
    words = str(given).strip()
    return words.removeprefix(HUB).strip("/") if words.startswith(HUB) else words


def embedded() -> dict[str, Path]:
    """The checkpoints that come with the workbench: folders by name."""
    return {p.name: p for p in sorted(EMBEDDED.glob("*")) if p.is_dir()}


def on_this_machine(given: str, revision: str = "", *, alone: bool = False) -> Path | None:
    """The folder of an embedded checkpoint or of a path; None for an id of the hub.

    `alone`: it is weights alone, without configuration. Raises Refusal where it is none of them, or a folder
    is to have a revision.
    """
    found = _folder(given, alone)
    if found is not None and revision:
        raise Refusal(
            f"{given} is a folder on this machine, which has no revisions. Leave the revision out, or give "
            "an id of the hub."
        )
    return found


def is_bagel(folder: Path) -> bool:
    """Whether a folder is in BAGEL's layout; otherwise it is in transformers'."""
    return (folder / BAGEL_CONFIG).is_file()


def _folder(given: str, alone: bool) -> Path | None:
    here = embedded()
    known = ", ".join(here) or "none"
    if not given:
        raise Refusal(
            f"No checkpoint was named: give a folder, a hub id, or the name of an embedded one ({known})."
        )
    if given in here:
        return here[given]
    try:
        folder = Path(given).expanduser().resolve()
        exists, is_folder = folder.exists(), folder.is_dir()
    except (OSError, ValueError, RuntimeError) as error:
        raise Refusal(f"{given!r} cannot be opened as a folder: {error}. Give another path.") from None
    if not exists and is_hub_id(given):
        return None
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
    _refuse_unconfigured(given, folder, alone)
    return folder


def _refuse_unconfigured(given: str, folder: Path, alone: bool) -> None:
    """Raise Refusal where a folder has no configuration and is not to be weights alone."""
    if alone or any((folder / name).is_file() for name in CONFIGURATIONS):
        return
    instead = "Give a folder that has one of them."
    if any(folder.glob("*.safetensors")):
        instead = "If its weights are CLEAR's, or others trained from BAGEL's, give BAGEL as the base."
    raise Refusal(
        f"{given} has neither config.json (transformers' layout) nor llm_config.json (BAGEL's), so it is "
        f"no checkpoint. {instead}"
    )


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


def number_type(name: str, device: torch.device) -> torch.dtype:
    """The type of that name, "auto" for what suits the device. Raises Refusal where it is not known."""
    import torch

    if name == "auto":
        name = "float32" if device.type == "cpu" else "bfloat16"
    if name not in DTYPES:
        raise Refusal(f"The dtype {name!r} is not known. Choose auto or one of {', '.join(DTYPES)}.")
    kind: torch.dtype = getattr(torch, name)
    return kind
