"""A checkpoint's files from the Hugging Face hub: configuration, words, the weights that are read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import Cancelled, Refusal
from workbench.models.memory import in_words
from workbench.models.progress import Say

if TYPE_CHECKING:
    from tqdm.std import tqdm

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
CONFIGURING = (
    *("config.json", "adapter_config.json", "llm_config.json", "vit_config.json", "bagel_config.json"),
    "*.safetensors.index.json",
)
"""What tells how a checkpoint is built and in which files its weights are: little, enough to refuse it."""
DESCRIBING = ("*.json", "*.txt", "*.model", "*.jinja", "README.md", "LICENSE*")
"""All of it but the weights, which are fetched by their names, and Python."""
CODE = ("*.py",)
"""Fetched besides for those who trust a checkpoint's own code."""


def is_hub_id(name: str) -> bool:
    """Whether a name has the form OWNER/NAME that the hub takes."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return HUB_ID.fullmatch(name) is not None


def cached(name: str, revision: str = "") -> Path | None:
    """The folder of what is on this machine of a hub repository, which may be a part of it; asks nobody."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision or None, local_files_only=True))
    except (OSError, ValueError):
        return None


@dataclass(frozen=True)
class Remote:
    """What the hub says of a repository: its files with their bytes, numbers in its weights if it tells."""

    files: Mapping[str, int]
    floats: int | None

    def bytes(self, patterns: Sequence[str]) -> int:
        """Of the files whose names fit one of the patterns."""
        return sum(size for name, size in self.files.items() if any(fnmatch(name, p) for p in patterns))


def remote(name: str, revision: str = "", *, timeout: float = 2.0) -> Remote | None:
    """Ask the hub what a repository holds; None where it does not say within `timeout` seconds."""
    from huggingface_hub import HfApi

    try:
        about = HfApi().model_info(name, revision=revision or None, files_metadata=True, timeout=timeout)
    except Exception:
        # No network, no such repository, no right to read it: whoever fetches is told which.
        return None
    weights = about.safetensors
    files = {file.rfilename: file.size or 0 for file in about.siblings or []}
    return Remote(files, weights.total if weights else None)


def shapes(name: str, revision: str = "") -> dict[str, tuple[int, ...]] | None:
    """The shapes of a repository's weights by their names, from the headers alone; None where not told."""
    from huggingface_hub import HfApi

    try:
        about = HfApi().get_safetensors_metadata(name, revision=revision or None)
    except Exception:
        # As in `remote`; or there is no model.safetensors, which whoever looks for weights says.
        return None
    files = about.files_metadata.values()
    return {key: tuple(tensor.shape) for file in files for key, tensor in file.tensors.items()}


def fetch(name: str, revision: str, files: Sequence[str], *, say: Say | None = None, size: int = 0) -> Path:
    """The folder of a hub repository's files, downloaded where they are not in the cache yet.

    `files`: patterns of the names that are wanted. `say` hears how much of them is there; `size`: their
    bytes, where that is known. Offline (HF_HUB_OFFLINE=1, or no network) the cache alone serves. Raises
    Refusal where the repository is unknown, gated, or neither reachable nor cached, with what to do.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    told: dict[str, Any] = {"tqdm_class": _bar(say, size)} if say is not None else {}
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=list(files), **told))
    except Cancelled:
        raise
    except GatedRepoError:
        raise Refusal(
            f"{name} is gated: accept its licence at https://huggingface.co/{name}, then set HF_TOKEN to a "
            "token of that account and open it again."
        ) from None
    except RevisionNotFoundError:
        raise Refusal(
            f"{name} has no revision {revision!r}. Give a branch, a tag or a commit of it."
        ) from None
    except RepositoryNotFoundError:
        raise Refusal(
            f"The hub has no model {name}, or it is private. Check the spelling; for a private one set "
            "HF_TOKEN to a token that may read it."
        ) from None
    except LocalEntryNotFoundError:
        raise Refusal(
            f"{name} is not in the cache of this machine, and the hub cannot be reached. Download it where "
            f"there is a network (hf download {name}), or give the folder it lies in."
        ) from None
    except HfHubHTTPError as error:
        raise Refusal(f"The hub did not give {name}: {str(error).partition(chr(10))[0]}") from None
    except OSError as error:
        raise Refusal(f"{name} cannot be stored here: {error.strerror or error}. Free some space.") from None


def _bar(say: Say, total: int) -> type[tqdm]:
    """A progress bar that is not drawn: it tells `say` of the bytes, out of `total` where that is known."""
    from tqdm.std import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **(kwargs | {"file": StringIO()}))

        def display(self, *args: Any, **kwargs: Any) -> bool:
            return True

        def update(self, n: float | None = 1) -> bool | None:
            drawn = super().update(n)
            # One bar counts files, the others bytes; which of those runs depends on how a file is sent.
            if self.unit == "B" and self.n:
                of = max(total, self.n)
                words = f"Downloading, {in_words(int(self.n))}" + (f" of {in_words(total)}" if total else "")
                say(words, min(1.0, self.n / of) if total else 0.0)
            return drawn

    return Bar
