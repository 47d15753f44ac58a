"""Data sets of the Hugging Face hub, in the parquet copy that the hub keeps of them. No code.

A data set is not fetched: the ends of its files say how many rows each has, and row groups are read as their
rows are asked for. What was read stays in a folder of the cache, so that it is fetched once, and is there
without a network.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.datasets import kept
from workbench.errors import Refusal

if TYPE_CHECKING:
    import pyarrow as pa

NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w.-]+)?")
"""OWNER/NAME or OWNER/NAME@CONFIGURATION."""
PARQUET = "refs/convert/parquet"
"""The branch on which the hub keeps that copy: CONFIGURATION/SPLIT/0000.parquet."""
PARTIAL = "partial-"
"""How the folder of a split begins of which the copy holds the first part only, being too large."""
LISTING = "listing.json"
TRANSPORT = "TransportError"
"""What the hub client's library for HTTP, which is not always the same one, raises without a network."""


@dataclass(frozen=True)
class Distant:
    """One parquet file of the hub's copy, as it was at a commit."""

    repository: str
    commit: str
    file: str

    def footer(self) -> Any:
        """Its `pyarrow.parquet.FileMetaData`. Raises Refusal where it cannot be had."""
        import pyarrow.parquet as pq

        path = self._kept("footer")
        kept.used(path)
        if not path.is_file():
            with _asking(self.repository):
                footer = self._opened().metadata
            kept.keep(path, footer.write_metadata_file)
        return pq.read_metadata(path)

    def group(self, number: int, columns: tuple[str, ...]) -> pa.Table:
        """Some columns of a row group. Raises Refusal where they cannot be had."""
        import pyarrow.parquet as pq

        words = hashlib.sha256("\0".join(columns).encode()).hexdigest()[:8]
        path = self._kept(f"{number}-{words}")
        with contextlib.suppress(Exception):  # None is kept yet, or what is kept is damaged.
            table = pq.read_table(path)
            kept.used(path)
            return table
        with _asking(self.repository):
            table = self._opened().read_row_group(number, columns=list(columns))
        kept.keep(path, lambda place: pq.write_table(table, place))
        return table

    def _opened(self) -> Any:
        import pyarrow.parquet as pq
        from huggingface_hub import HfFileSystem

        path = f"datasets/{self.repository}@{self.commit}/{self.file}"
        return pq.ParquetFile(HfFileSystem().open(path, "rb", cache_type="none"), pre_buffer=True)

    def _kept(self, name: str) -> Path:
        return kept.folder(self.repository) / self.commit / self.file.replace("/", "--") / f"{name}.parquet"


@dataclass(frozen=True)
class Copy:
    """What a configuration of the hub's copy holds: files by the folder of their split, and what to know."""

    splits: dict[str, list[Distant]]
    notes: tuple[str, ...]


def copy_of(name: str) -> Copy:
    """The parquet files of a data set, OWNER/NAME or OWNER/NAME@CONFIGURATION; without one the first.

    Raises Refusal where the hub has no such data set, configuration or copy, or cannot be reached and nothing
    of it was read before.
    """
    repository, _, configuration = name.partition("@")
    commit, files = _listed(repository)
    known = list(dict.fromkeys(file.partition("/")[0] for file in files))
    if not known:
        raise Refusal(f"The hub's copy of {repository} holds no parquet file.")
    if configuration and configuration not in known:
        raise Refusal(f"{repository} has no configuration {configuration!r}; it has {', '.join(known)}.")
    chosen = configuration or known[0]
    splits: dict[str, list[Distant]] = {}
    partial = []
    for file in files:
        folder, *rest = file.split("/")
        if folder != chosen:
            continue
        split = rest[0] if len(rest) > 1 else ""
        if split.startswith(PARTIAL):
            split = split.removeprefix(PARTIAL)
            partial.append(split)
        splits.setdefault(split, []).append(Distant(repository, commit, file))
    notes = [f"The hub's parquet copy at commit {commit[:12]}; row groups are fetched as they are read."]
    if len(known) > 1:
        notes.append(f"Its configuration {chosen}, of {', '.join(known)}.")
    notes += [
        f"The hub's copy holds the first part of its {split} split only, which is too large for it."
        for split in dict.fromkeys(partial)
    ]
    return Copy(splits, tuple(notes))


def _listed(repository: str) -> tuple[str, list[str]]:
    """The commit of the copy and its parquet files; what was listed before where there is no network."""
    from huggingface_hub import HfApi

    listing = kept.folder(repository) / LISTING
    try:
        with _asking(repository):
            about = HfApi().dataset_info(repository, revision=PARQUET)
    except Unreachable as unreachable:
        try:
            found = json.loads(listing.read_text("utf-8"))
            return str(found["commit"]), [str(file) for file in found["files"]]
        except (OSError, ValueError, KeyError):
            raise unreachable from None
    files = sorted(s.rfilename for s in about.siblings or () if s.rfilename.endswith(".parquet"))
    text = json.dumps({"commit": about.sha, "files": files})
    kept.keep(listing, lambda place: place.write_text(text, "utf-8"))
    return str(about.sha), files


class Unreachable(Refusal):
    """The hub cannot be reached."""


@contextlib.contextmanager
def _asking(repository: str) -> Iterator[None]:
    """What goes wrong while the hub is asked, as a sentence that says what to do."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
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
    except HfHubHTTPError as error:
        raise Refusal(f"The hub did not give {repository}: {str(error).partition(chr(10))[0]}") from None
    except ValueError as error:  # pyarrow's, of what is no parquet.
        raise Refusal(f"A file of {repository} cannot be read: {str(error).partition(chr(10))[0]}") from None
    except Exception as error:
        if not isinstance(error, OSError) and not any(c.__name__ == TRANSPORT for c in type(error).__mro__):
            raise
        raise Unreachable(
            f"The hub cannot be reached, and what is asked of {repository} was not read before "
            f"({str(error).partition(chr(10))[0]}). Give a folder of parquet files instead."
        ) from None
