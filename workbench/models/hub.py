"""A checkpoint's files from the Hugging Face hub: weights as safetensors, configuration, words. No code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from workbench.errors import Refusal

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
WANTED = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "README.md", "LICENSE*")
"""No pickled weights and no Python: neither is ever opened."""


def is_hub_id(name: str) -> bool:
    """Whether a name has the form OWNER/NAME."""
    return HUB_ID.fullmatch(name) is not None


def fetch(name: str, revision: str | None = None, files: Sequence[str] = WANTED) -> Path:
    """The folder of a hub repository's files, downloaded where they are not in the cache yet.

    `files`: patterns of the names that are wanted.

    Offline (HF_HUB_OFFLINE=1, or no network) the cache alone serves. Raises Refusal where the repository is
    unknown, gated, or neither reachable nor cached, with what to do.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(files)))
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
