"""What every collection of images can be asked, wherever its images lie."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from workbench.errors import Refusal

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
FIFTH = 0.2
"""Of a split, cut off for one that a collection lacks. Ours."""
SHARES: dict[Split, float] = {"train": 0.6, "validation": 0.15, "test": 0.25}
"""How a collection that comes undivided is divided. Ours."""
UNKNOWN = -1
"""In place of a label that a sample has not."""

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """A question about an image, its answer, and the answers to choose from (none where it is open).

    turns: the same question with its options in other places, where it counts as right only if all are (the
    circular evaluation of MMBench, arXiv 2307.06281).
    """

    text: str
    answer: str
    candidates: tuple[str, ...] = ()
    kind: str = ""
    turns: tuple[Asked, ...] = ()

    @property
    def forms(self) -> tuple[Asked, ...]:
        """The question itself, then its turns."""
        return (self, *self.turns)


@dataclass(frozen=True, eq=False)
class Sample:
    """One image with what is known of it.

    name: finds it again in its collection. pixels: uint8 (H, W, 3). labels: for some of the collection's
    targets an index into its values. seed: makes what is drawn at random for this image its own. classes:
    integers (H, W), an index into the collection's classes or their number where nothing is known. regions:
    integers (H, W), one number for each thing that is to hold together; the classes where nothing finer is
    known. depth: float32 (H, W), 0 near to 1 far. asked: questions. place: in its split, where somebody who
    reads it counts.
    """

    name: str
    pixels: NDArray[np.uint8]
    seed: int
    labels: Mapping[str, int] = field(default_factory=dict)
    classes: NDArray[np.integer] | None = None
    regions: NDArray[np.integer] | None = None
    depth: NDArray[np.float32] | None = None
    asked: tuple[Asked, ...] = ()
    place: int = UNKNOWN


@dataclass(frozen=True)
class Skipped:
    """An image that could not be used, by name, with the reason as a sentence."""

    name: str
    reason: str


class Collection(Protocol):
    """Images in three splits, each in an order that never changes and begins with no class in particular."""

    spec: str
    """What opens it again; see `workbench.datasets.open_collection`."""
    title: str
    """What it is called on a figure."""
    targets: Mapping[str, tuple[str, ...]]
    """Labels of a whole image and their values."""
    defaults: tuple[str, ...]
    """The targets that are read if nobody chooses."""
    classes: tuple[str, ...]
    """Classes of its pixels; none where it has no masks."""
    fingerprint: str
    """Differs where its list of images does: 16 hexadecimal digits."""
    notes: tuple[str, ...]
    """What to know about it: how it was divided, what was left out; a sentence each."""
    divided: tuple[str, ...]
    """Of the notes those that say how it was divided: none where it came in three."""

    def count(self, split: Split) -> int:
        """How many images a split has."""
        ...

    def read(self, split: Split, start: int, stop: int) -> Iterator[Sample | Skipped]:
        """The images `start` to `stop` of a split, in order; one that cannot be used does not end it."""
        ...


def tried(name: str, made: Callable[[], Sample]) -> Sample | Skipped:
    """A sample, or what says why it cannot be used."""
    try:
        return made()
    except Refusal as refusal:
        return Skipped(name, str(refusal))


def number_of(name: str) -> int:
    """A whole number of 31 bits that depends on the name alone: the seed of a sample."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") >> 1


def shuffled(items: Iterable[T], name: Callable[[T], str]) -> list[T]:
    """Items in an order that depends on the name of each alone, so that no class comes first."""
    return sorted(
        items, key=lambda item: hashlib.sha256(name(item).encode(errors="surrogateescape")).digest()
    )


def in_three(
    given: Mapping[Split, Iterable[T]], name: Callable[[T], str]
) -> tuple[dict[Split, list[T]], tuple[str, ...]]:
    """Items of the splits that a collection brings, shuffled, as three splits, and what was done in words.

    A split that it lacks is cut off another: readers are never scored on what they were fitted to, nor their
    penalty chosen on it.
    """
    mixed = {split: shuffled(items, name) for split, items in given.items()}
    mixed = {split: items for split, items in mixed.items() if items}
    if len(mixed) == 1:
        (items,) = mixed.values()
        shares = ", ".join(f"{SHARES[split]:.0%} {split}" for split in SPLITS)
        return _cut(items, SHARES), (f"It comes undivided and was divided by the hash of names: {shares}.",)
    out: dict[Split, list[T]] = {split: mixed.get(split, []) for split in SPLITS}
    if not mixed or all(out.values()):
        return out, ()
    said = []
    if not out["test"]:
        out["test"], out["validation"] = out["validation"], []
        said.append("Its validation split is what readers are scored on.")
    if not (out["train"] and out["validation"]):
        whole = "train" if out["train"] else "validation"
        out |= _cut(out["train"] or out["validation"], {"train": 1 - FIFTH, "validation": FIFTH})
        said.append(f"Of its {whole} split, a fifth chooses penalties and the rest is fitted to.")
    return out, tuple(said)


def _cut(items: Sequence[T], shares: Mapping[Split, float]) -> dict[Split, list[T]]:
    """Items cut into consecutive parts of the given shares."""
    ends = [round(len(items) * share) for share in accumulate(shares.values())]
    return {split: list(items[a:b]) for split, a, b in zip(shares, [0, *ends], ends, strict=False)}


def fingerprint(lines: Sequence[str]) -> str:
    """Sixteen hexadecimal digits of lines, whatever their order."""
    digest = hashlib.sha256()
    for line in sorted(lines):
        digest.update(line.encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest()[:16]
