"""What was read of the hub, on this machine: files written whole, those used longest ago removed in time."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path

from workbench.errors import Refusal

MOST_BYTES = 20_000_000_000
"""Bytes that are kept of all data sets together."""


def folder(repository: str) -> Path:
    """Where what is read of a data set stays."""
    return _root() / repository.replace("/", "--")


def keep(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place, rename it into it, and remove what goes beyond the bound.

    Raises Refusal where the disk does not take it.
    """
    fresh = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(fresh)
        os.replace(fresh, path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise Refusal(
            f"What is read from the hub cannot be kept at {path.parent}: {error.strerror or error}. Free "
            "some space, or set XDG_CACHE_HOME to another disk."
        ) from None
    _evict(path)


def used(path: Path) -> None:
    """Note that a file was read: it is the last to be removed now."""
    with contextlib.suppress(OSError):  # A disk that cannot be written to any more can still be read.
        os.utime(path)


def _root() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "afterimage" / "hub"


def _evict(newest: Path) -> None:
    """Remove the files used longest ago, among them what a killed process left half written."""
    files = []
    for path in _root().rglob("*"):
        with contextlib.suppress(OSError):  # Another process may be removing too.
            about = path.stat()
            if path.is_file():
                files.append((about.st_mtime, about.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= MOST_BYTES:
            return
        if path != newest:
            path.unlink(missing_ok=True)
            total -= size
            with contextlib.suppress(OSError):  # It holds other files.
                path.parent.rmdir()
