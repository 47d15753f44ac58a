"""Which files of a checkpoint are its weights: told from names and indices, reading no weight.

Only these are downloaded. A repository may hold more: the same weights in another layout, a running average
beside them, pickles.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import Refusal
from workbench.models.peft import adapter_in, merge

if TYPE_CHECKING:
    from workbench.models import Opening

Group = Sequence[str]
"""Names that one set of weights may have, best first."""
WEIGHTS: Group = ("model.safetensors",)
"""Of a folder in transformers' layout."""
BAGEL_WEIGHTS: dict[str, Group] = {
    "auto": ("ema.safetensors", "model.safetensors"),
    "ema": ("ema.safetensors",),
    "model": ("model.safetensors",),
}
"""Of a folder in BAGEL's: the network, the first that is there. Fine-tuning writes both, and CLEAR evaluates
by ema, its running average; its reinforcement learning writes model alone."""
BAGEL_PIXELS: Group = ("ae.safetensors",)
"""Its autoencoder."""
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
CONVERT = (
    "On the hub, https://huggingface.co/spaces/safetensors/convert makes a pull request that adds "
    "safetensors to a repository; with its number, N, open the id with --revision refs/pr/N, or on the page "
    "with refs/pr/N as the revision"
)


def groups(opening: Opening, *, bagel: bool) -> list[Group]:
    """The sets of weights that an opening reads from a checkpoint's own folder, in BAGEL's layout or not."""
    if opening.base:
        return [BAGEL_WEIGHTS[opening.weights]]
    return [BAGEL_WEIGHTS[opening.weights], BAGEL_PIXELS] if bagel else [WEIGHTS]


def find_weights(folder: Path, names: Group) -> list[Path]:
    """The weight files of a folder: the first of `names` that is there, single or sharded by its index.

    Raises Refusal where none is, with what to do about what is there instead.
    """
    for name in names:
        if (folder / name).is_file():
            return [folder / name]
        if has_weights(folder, name):
            return _here(folder, name)
    raise lacking(str(folder), folder, names, [path.name for path in folder.iterdir()])


def has_weights(folder: Path, name: str) -> bool:
    """Whether a folder has that weight file, whole or in shards."""
    return (folder / name).is_file() or _index(folder, name).is_file()


def complete(folder: Path, name: str) -> bool:
    """Whether a weight file is there as a whole, single or with all of its shards."""
    if (folder / name).is_file():
        return True
    return _index(folder, name).is_file() and all(shard.is_file() for shard in shards(folder, name))


def wanted(folder: Path, asked: Sequence[Group], listed: Collection[str] | None, name: str) -> list[str]:
    """The names of the weight files to download: of each group the first that is there.

    folder: with the repository's indices, if any. listed: all its files, None where the hub did not say; then
    every name of a group that has no index is asked for. name: what the repository is called.

    Raises Refusal where a group has none, with what to do about what is there instead.
    """
    found: list[str] = []
    for names in asked:
        for each in names:
            if _index(folder, each).is_file():
                found += [shard.name for shard in shards(folder, each)]
                break
            if listed is not None and each in listed:
                found.append(each)
                break
        else:
            if listed is not None:
                raise lacking(name, folder, names, listed)
            found += names
    return found


def shards(folder: Path, name: str) -> list[Path]:
    """The files that a folder's index of a weight file lists. Raises Refusal where it cannot be read."""
    index = _index(folder, name)
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        found = [index.parent / name for name in names]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refusal(f"{index} cannot be read as an index of shards ({error}). Fetch it again.") from None
    if not found or any(shard.parent != index.parent for shard in found):
        raise Refusal(f"{index} does not list files of its own folder. Fetch it again.")
    return found


def lacking(name: str, folder: Path, names: Group, there: Collection[str]) -> Refusal:
    """That a checkpoint has no weights under any of `names`, and what to do, by the files it has instead."""
    pickled = sorted(file for file in there if file.endswith(PICKLED) and "/" not in file)
    if adapter := adapter_in(folder):
        hint = merge(adapter)
    elif pickled:
        hint = (
            f"It has {listing(pickled)}, but pickled weights can run code and are never loaded: convert them "
            f"to safetensors. {CONVERT}."
        )
    else:
        hint = "Fetch the weights again, or choose another folder."
    return Refusal(f"{name} lacks its weights: there is no {' or '.join(names)}. {hint}")


def listing(names: Sequence[str]) -> str:
    """Names in a sentence, the first six of them; where they are more, the log has all."""
    if len(names) <= 6:
        return ", ".join(names)
    logging.getLogger(__name__).warning("all %d of them: %s", len(names), ", ".join(names))
    return f"{', '.join(names[:6])} and {len(names) - 6} more, which the log lists"


def _here(folder: Path, name: str) -> list[Path]:
    """The shards of a weight file. Raises Refusal where one is not there."""
    found = shards(folder, name)
    if missing := [shard.name for shard in found if not shard.is_file()]:
        raise Refusal(
            f"{folder} lacks {listing(missing)}, which {_index(folder, name).name} lists. Fetch the missing "
            "shards."
        )
    return found


def _index(folder: Path, name: str) -> Path:
    return folder / f"{name}.index.json"
