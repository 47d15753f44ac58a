"""Opening a checkpoint: one call for every family."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import Refusal
from workbench.models.hub import CODE, DESCRIBING, Remote, fetch, is_hub_id, remote, shapes
from workbench.models.peft import adapter_in, merge
from workbench.models.progress import Say, part
from workbench.models.weights import BAGEL_PIXELS, Group, complete, groups, wanted

if TYPE_CHECKING:
    import torch

    from workbench.models.protocol import Model

BAGEL_CONFIG = "llm_config.json"
CONFIGURATIONS = (BAGEL_CONFIG, "config.json")
"""What tells a checkpoint's folder: BAGEL's layout, transformers' layout."""
HUB = "https://huggingface.co/"
"""Left out where an address of the hub is given in place of an id."""
LONGEST_SHOWN = 200
"""Characters of a wrong name that a sentence repeats."""
EMBEDDED = Path(__file__).parents[2] / "assets" / "checkpoints"
"""Checkpoints that come with the workbench, by the name of their folder."""
DTYPES = ("float32", "bfloat16", "float16")
QUANTISED = ("8bit", "4bit")
KERNELS = ("auto", "sdpa", "eager", "flash_attention_2", "flash_attention_3")
WEIGHTS = ("auto", "ema", "model")
READ_AS = ("auto", "bagel", "clear")


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
    that takes the place of the checkpoint's own prompt. read_as: one of READ_AS, whose image sizes and words;
    nothing in the weights tells a fine-tune of BAGEL from CLEAR, so "auto" takes weights over a base for
    CLEAR's and a folder with a configuration of its own for BAGEL's.
    """

    device: str = "auto"
    dtype: str = "auto"
    revision: str = ""
    attention: str = "auto"
    quantised: str = ""
    base: str = ""
    weights: str = "auto"
    system_prompt: str = ""
    read_as: str = "auto"
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("dtype", self.dtype, ("auto", *DTYPES)),
            ("attention", self.attention, KERNELS),
            ("quantised", self.quantised, ("", *QUANTISED)),
            ("weights", self.weights, WEIGHTS),
            ("read_as", self.read_as, READ_AS),
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
    read_as: str = "auto",
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
        *(device, dtype, revision, attention, quantised, str(base), weights, str(system_prompt), read_as),
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
        from workbench.models.hf.load import load as load_hf

        model = load_hf(folder, name=name, device=where, dtype=kind, opening=opening, say=loading)
    part(say, 0.97, 1.0)("Checking what is read against what it computes", 0.0)
    try:
        verify(model)
    except (RuntimeError, AssertionError) as error:
        if not quantised:
            raise
        # Its kernels ask matrices to have sides of certain multiples, and tell at the first product.
        raise Refusal(
            f"bitsandbytes cannot compute {name} in {quantised} on {where} ({str(error).splitlines()[0]}). "
            "Take the other number of bits, another device, or none."
        ) from error
    part(say, 0.97, 1.0)("Open", 1.0)
    return model


def sources(
    id_or_path: str | Path, opening: Opening, *, say: Say | None = None
) -> tuple[tuple[Path, str], tuple[Path, str] | None]:
    """What an opening reads, downloaded if need be: folder and name of the checkpoint, and of its base.

    `say` hears how much is downloaded: of weights, only those that are read. Raises Refusal where one is not
    there, they do not go together, or what was asked for cannot be done, as far as that can be told before
    weights are downloaded.
    """
    checkpoint = _Source(plain(id_or_path), opening.revision, alone=bool(opening.base))
    code = CODE if opening.trust_remote_code else ()
    folder = checkpoint.described(code)
    if not opening.base:
        foresee(folder, opening)
        asked = groups(opening, bagel=is_bagel(folder))
        return (checkpoint.whole(folder, asked, code, opening, say), checkpoint.name(folder)), None
    base = _Source(plain(opening.base))
    below = base.described()
    foresee(folder, opening, below)
    weights = checkpoint.whole(folder, groups(opening, bagel=True), code, opening, say)
    # The base's own weights, 29 GB of them, are not fetched.
    pixels = base.whole(below, [BAGEL_PIXELS], (), opening, say)
    return (weights, checkpoint.name(folder)), (pixels, base.name(below))


@dataclass(frozen=True)
class _Source:
    """A folder of this machine or a repository of the hub. `alone`: weights without a configuration."""

    given: str
    revision: str = ""
    alone: bool = False

    def described(self, code: Sequence[str] = ()) -> Path:
        """Its folder with all but the weights. Raises Refusal where there is no such checkpoint."""
        if (here := self._here()) is not None:
            return here
        folder = fetch(self.given, self.revision, (*DESCRIBING, *code))
        if not self.alone:
            about = remote(self.given, self.revision) if not configured(folder) else None
            refuse_unconfigured(self.given, folder, about.files if about else ())
        return folder

    def whole(
        self,
        folder: Path,
        asked: Sequence[Group],
        code: Sequence[str],
        opening: Opening,
        say: Say | None,
    ) -> Path:
        """The described folder with the weights as well. Raises Refusal where they are not to be had."""
        if self._here() is not None or all(complete(folder, names[0]) for names in asked):
            return folder
        about = remote(self.given, self.revision, timeout=10)
        names = wanted(folder, asked, about.files if about else None, self.given)
        if asked != [BAGEL_PIXELS] and not all((folder / name).is_file() for name in names):
            _worth_a_download(self.given, folder, opening, about)
        files = (*DESCRIBING, *code, *names)
        return fetch(self.given, self.revision, files, say=say, size=about.bytes(files) if about else 0)

    def name(self, folder: Path) -> str:
        """What it goes by: an id of the hub, or the name of its folder."""
        return self.given if self._here() is None else folder.name

    def _here(self) -> Path | None:
        return on_this_machine(self.given, self.revision, alone=self.alone)


def foresee(folder: Path, opening: Opening, base: Path | None = None) -> None:
    """Raise Refusal for what will not be opened whatever its weights are; reads none of them.

    `folder` is to have the configuration; where a `base` has it, it is that of weights alone.
    """
    device = usable(opening.device)
    if base is not None and (own := [name for name in CONFIGURATIONS if (folder / name).is_file()]):
        raise Refusal(
            f"{folder} has a configuration of its own ({own[0]}), so it needs no base. Leave the base out, "
            "or give a folder with the weights alone."
        )
    if base is not None and not is_bagel(base):
        raise Refusal(f"The base {opening.base} has no {BAGEL_CONFIG}. Give a folder in BAGEL's layout.")
    if base is not None or is_bagel(folder):
        from workbench.models.bagel.load import foresee as foresee_bagel

        foresee_bagel(folder, opening, device, base)
        return
    if opening.weights != "auto" or opening.read_as != "auto" or opening.system_prompt:
        raise Refusal(
            f"{folder.name} is in transformers' layout, which has one set of weights, one way to read images "
            "and no system prompt to choose. Leave these out."
        )
    from workbench.models.hf.load import foresee as foresee_hf

    foresee_hf(folder, opening, device)


def _worth_a_download(name: str, folder: Path, opening: Opening, about: Remote | None) -> None:
    """Raise Refusal where weights would be of no use here: its words cannot be read, they do not fit its
    configuration, or memory lacks.
    """
    from workbench.models.memory import bytes_per_number, demand, free_for

    if not opening.base and not is_bagel(folder):
        from workbench.models.hf.processor import read_processor

        read_processor(folder, trusted=opening.trust_remote_code)
        if about is not None and (promised := shapes(name, opening.revision)):
            from workbench.models.hf.load import demand_names

            demand_names(folder, promised)
    if about is not None and (floats := about.floats):
        device = usable(opening.device)
        kind = number_type(opening.dtype, device)
        words = opening.quantised or str(kind).removeprefix("torch.")
        needed = int(floats * bytes_per_number(kind, opening.quantised))
        bagel = bool(opening.base) or is_bagel(folder)
        demand(needed, free_for(opening, device, bagel=bagel), name, str(device), words)


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
        why = error.strerror if isinstance(error, OSError) else error
        raise Refusal(f"{_begun(given)} cannot be opened as a folder: {why}. Give another path.") from None
    if not exists and is_hub_id(given):
        return None
    if not exists:
        raise Refusal(
            f"There is no checkpoint {_begun(given)}: it is neither a folder nor an embedded one ({known}), "
            "and an id on the hub has the form OWNER/NAME. Check the spelling."
        )
    if not is_folder:
        raise Refusal(
            f"{given} is a file; a checkpoint is a folder with its configuration, weights and tokenizer. "
            "Give the folder."
        )
    if not alone:
        refuse_unconfigured(given, folder, [path.name for path in folder.glob("*.safetensors")])
    return folder


def _begun(given: str) -> str:
    """What was given as it can stand in a sentence, in quotes."""
    return repr(given if len(given) <= LONGEST_SHOWN else f"{given[:LONGEST_SHOWN]}…")


def configured(folder: Path) -> bool:
    """Whether a folder says how its checkpoint is built; otherwise it can be weights alone."""
    return any((folder / name).is_file() for name in CONFIGURATIONS)


def refuse_unconfigured(given: str, folder: Path, files: Collection[str]) -> None:
    """Raise Refusal where a folder has no configuration; `files`: the names of all that is to be had."""
    if configured(folder):
        return
    instead = "Give a folder that has one of them."
    if adapter := adapter_in(folder):
        instead = merge(adapter)
    elif any(name.endswith(".safetensors") for name in files):
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
