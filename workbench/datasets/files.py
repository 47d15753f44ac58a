"""Collections whose images are files in folders, with labels or masks that files and folders tell."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from workbench.datasets.collection import (
    Sample,
    Skipped,
    Split,
    fingerprint,
    in_three,
    number_of,
    tried,
)
from workbench.errors import Refusal

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".avif"})
NAMED_SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "train2017": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "val2017": "validation",
    "test": "test",
    "testing": "test",
}
"""What folders of splits are called."""


@dataclass(frozen=True)
class Entry:
    """A file of an image: its name within the collection, where it is, and what belongs to it."""

    name: str
    path: Path
    label: int | None = None
    mask: Path | None = None


def images_under(folder: Path) -> list[Path]:
    """Every file under a folder that may be an image, in a fixed order. Hidden ones are left out."""
    found: list[Path] = []
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(here, name)
            for name in sorted(files)
            if os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith(".")
        ]
    return found


def folder_at(path: str) -> Path:
    """The folder that a person named. Raises Refusal where there is none."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise Refusal(f"There is no folder {path}. Give the path of a folder of images.")
    return folder


def given_splits(folder: Path, but: Path | None = None) -> dict[Split, Path]:
    """The folders of splits that a folder holds, by what they are called; `but` holds no images of its own.

    None where other folders with images stand beside them: then one of them is a class that is called so, as
    the trains of CIFAR are.
    """
    found: dict[Split, Path] = {}
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
        if (split := NAMED_SPLITS.get(inner.name.lower())) is not None:
            found[split] = inner
        elif not inner.name.startswith(".") and inner != but and images_under(inner):
            return {}
    return found


class Files:
    """A collection of image files; `workbench.datasets.collection.Collection`."""

    def __init__(
        self,
        spec: str,
        title: str,
        given: Mapping[Split, Sequence[Entry]],
        *,
        targets: Mapping[str, tuple[str, ...]],
        notes: Sequence[str] = (),
    ) -> None:
        """`given`: entries of the splits that it brings. Raises Refusal where there are none."""
        self.spec, self.title, self.targets, self.defaults = spec, title, targets, tuple(targets)
        self.classes: tuple[str, ...] = ()
        self.entries, self.divided = in_three(given, lambda entry: entry.name)
        self.notes = (*self.divided, *notes)
        every = [entry for entries in self.entries.values() for entry in entries]
        if not every:
            raise Refusal(f"{title} holds no image that can be read here ({', '.join(sorted(SUFFIXES))}).")
        self.fingerprint = fingerprint([_line(entry) for entry in every])

    def count(self, split: Split) -> int:
        """How many images a split has."""
        return len(self.entries[split])

    def read(self, split: Split, start: int, stop: int) -> Iterator[Sample | Skipped]:
        """The images `start` to `stop` of a split, in order."""
        for entry in self.entries[split][start:stop]:
            yield tried(entry.name, partial(self.sample, entry))

    def sample(self, entry: Entry) -> Sample:
        """One image with its label. Raises Refusal where it cannot be read."""
        from workbench.images.fit import fitted
        from workbench.images.read import read

        picture = fitted(read(entry.path, name=entry.name))
        labels = {} if entry.label is None else {next(iter(self.targets)): entry.label}
        return Sample(entry.name, picture.pixels, number_of(entry.name), labels)


def _line(entry: Entry) -> str:
    """What tells an entry from another, and from itself before it was changed."""
    mask = "" if entry.mask is None else stamp_of(entry.mask)
    return f"{entry.name}\t{stamp_of(entry.path)}\t{entry.label}\t{mask}"


def stamp_of(path: Path) -> str:
    """Size of a file and when it was changed; empty where it is gone: a list must not fail for one."""
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"
