"""Data sets of the Hugging Face hub, in the parquet copy that the hub keeps of them. No code."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

from workbench.errors import Refusal

NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w.-]+)?")
"""OWNER/NAME or OWNER/NAME@CONFIGURATION."""
PARQUET = "refs/convert/parquet"
"""The branch on which the hub keeps that copy: CONFIGURATION/SPLIT/0000.parquet."""


def parquet_of(name: str) -> Path:
    """The folder of a data set's parquet files, downloaded where they are not in the cache yet.

    `name`: OWNER/NAME, or OWNER/NAME@CONFIGURATION; without one the first. Raises Refusal where the hub has
    no such data set, configuration or copy, or cannot be reached and the cache has none.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repository, _, configuration = name.partition("@")
    try:
        try:
            files = HfApi().list_repo_files(repository, repo_type="dataset", revision=PARQUET)
        except (ConnectionError, OfflineModeIsEnabled):
            files = []
        shards = [file for file in files if file.endswith(".parquet") and "/partial-" not in file]
        known = list(dict.fromkeys(file.partition("/")[0] for file in shards))
        if files and configuration and configuration not in known:
            raise Refusal(f"{repository} has no configuration {configuration!r}; it has {', '.join(known)}.")
        chosen = configuration or (known[0] if known else "*")
        wanted = f"{chosen}/*.parquet"
        folder = Path(
            snapshot_download(repository, repo_type="dataset", revision=PARQUET, allow_patterns=[wanted])
        )
    except GatedRepoError:
        raise Refusal(
            f"{repository} is gated: accept its licence at https://huggingface.co/datasets/{repository}, "
            "then set HF_TOKEN to a token of that account."
        ) from None
    except RevisionNotFoundError:
        raise Refusal(
            f"The hub keeps no parquet copy of {repository}. Download the data set and give its folder."
        ) from None
    except RepositoryNotFoundError:
        raise Refusal(
            f"The hub has no data set {repository}, or it is private. Check the spelling; for a private one "
            "set HF_TOKEN to a token that may read it."
        ) from None
    except (LocalEntryNotFoundError, ConnectionError):
        raise Refusal(
            f"{repository} is not in the cache of this machine, and the hub cannot be reached. Give a folder "
            "of parquet files instead."
        ) from None
    except HfHubHTTPError as error:
        raise Refusal(f"The hub did not give {repository}: {str(error).partition(chr(10))[0]}") from None
    except OSError as error:
        raise Refusal(
            f"{repository} cannot be stored here: {error.strerror or error}. Free some space."
        ) from None
    here = [path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")]
    if not any(fnmatch(path, wanted) for path in here):
        raise Refusal(f"The hub's copy of {repository} holds no parquet file of {chosen}.")
    return folder if chosen == "*" else folder / chosen
