"""What code computes: a digest of it, another one once any line is another."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

PACKAGES = ("workbench", "probes")
SHOWN = ("cli", "page", "view*.py")
"""Folders and files that only show what is computed: the screen and the command line."""


@cache
def code() -> str:
    """SHA-256 of all source that numbers come from, names of files included."""
    return digest([_root(package) for package in PACKAGES])


def digest(roots: list[Path]) -> str:
    """SHA-256 of the Python files below these folders, but for those that only show."""
    found = hashlib.sha256()
    for root in roots:
        for file in sorted(root.rglob("*.py")):
            inside = file.relative_to(root)
            if not any(Path(part).match(pattern) for part in inside.parts for pattern in SHOWN):
                found.update(f"{root.name}/{inside.as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return found.hexdigest()


def _root(package: str) -> Path:
    root = files(package)
    assert isinstance(root, Path), "the workbench is run from files"
    return root
