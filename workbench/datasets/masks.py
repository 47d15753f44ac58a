"""Images with a class for each pixel: COCO-Stuff's layout, ADE20K's, or two folders side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from workbench.datasets.collection import Sample, Split
from workbench.datasets.files import Entry, Files, folder_at, given_splits, images_under
from workbench.errors import Refusal

IMAGES = ("images", "image", ".")
MASKS = (
    "annotations",
    "stuffthingmaps",
    "stuffthingmaps_trainval2017",
    "annotations/stuffthingmaps",
    "masks",
    "labels",
)
LOOKED_INTO = 32
"""Masks that are looked into for numbers that are no class."""
LISTS = ("objectInfo150.txt", "labels.txt", "classes.txt")
"""Files that say what classes are called, one a line."""


@dataclass(frozen=True)
class Layout:
    """How a mask's numbers are to be read.

    first: the number of the first class. unlabelled: the number that says nothing. classes: how many there
    are. source: where that is written. kinds: whether they are things, stuff or both, in a sentence.
    """

    name: str
    first: int
    unlabelled: int
    classes: int
    source: str
    kinds: str

    def indices(self, numbers: np.ndarray, count: int) -> np.ndarray:
        """Numbers of a mask as indices into `count` classes, `count` where nothing is known: int16."""
        index = numbers.astype(np.int64) - self.first
        unknown = (numbers == self.unlabelled) | (index < 0) | (index >= count)
        return np.where(unknown, count, index).astype(np.int16)

    def strange(self, numbers: np.ndarray, count: int) -> set[int]:
        """Numbers of a mask that are no class of `count`, and not the one that says nothing."""
        found = np.unique(numbers)
        index = found.astype(np.int64) - self.first
        return set(map(int, found[((index < 0) | (index >= count)) & (found != self.unlabelled)]))

    def numbers(self) -> tuple[str, ...]:
        """What classes are called of which the names are not known."""
        return tuple(f"class {self.first + k}" for k in range(self.classes))


LAYOUTS = {
    "coco-stuff": Layout(
        "coco-stuff",
        0,
        255,
        182,
        "COCO-Stuff's README: pixel maps, 0 to 181, 255 unlabelled",
        "Its classes are things (0 to 90) and stuff (91 to 181) alike.",
    ),
    "ade20k": Layout(
        "ade20k",
        1,
        0,
        150,
        "ADE20K scene parsing: 1 to 150, 0 is everything else",
        "Its classes are things and stuff alike, as person and sky.",
    ),
    "masks": Layout(
        "masks",
        0,
        255,
        255,
        "ours: the pixel's number is its class, 255 unlabelled",
        "Whether its classes are things or stuff is not known.",
    ),
}


def open_masks(path: str, layout: str = "") -> Masks:
    """Images and masks of the same names under one folder; the layout by what its splits are called.

    Raises Refusal where there is no such folder, or no images with masks in it.
    """
    root = folder_at(path)
    pairs = [
        (root / i, root / m) for m in MASKS for i in IMAGES if (root / m).is_dir() and (root / i).is_dir()
    ]
    if not pairs:
        raise Refusal(
            f"{path} holds no masks: images are looked for in “images” and masks of the same names in "
            f"{' or '.join(f'“{name}”' for name in (MASKS[0], MASKS[1], MASKS[4]))}."
        )
    # COCO keeps its boxes in a folder that others keep masks in: the first pair that fits is taken.
    for images, masks in pairs:
        splits = given_splits(images, but=root / masks.relative_to(root).parts[0])
        given = _paired(root, images, masks, splits)
        every = [entry for entries in given.values() for entry in entries]
        without = sum(not (entry.mask and entry.mask.is_file()) for entry in every)
        if without < len(every):
            break
    else:
        names = " or ".join(dict.fromkeys(f"“{masks.relative_to(root)}”" for _, masks in pairs))
        raise Refusal(f"No image of {path} has a mask: a mask is a PNG of the image's name in {names}.")
    known = LAYOUTS[layout or _guess(splits, images)]
    notes = [
        f"Masks as in {known.source}.",
        f"{known.kinds} Single objects are not told apart: patches of two of one class count as one region.",
    ]
    if without:
        notes.append(f"Images without a mask of their name, which are skipped: {without:,}.")
    classes = _names(root, known)
    masks_ = [entry.mask for entry in every if entry.mask and entry.mask.is_file()]
    return Masks(
        path, root.resolve().name, given, known, classes, [*notes, *_met(masks_, known, len(classes))]
    )


def _paired(root: Path, images: Path, masks: Path, splits: Mapping[Split, Path]) -> dict[Split, list[Entry]]:
    """The images of every split, each with the place where its mask would be."""
    given: dict[Split, list[Entry]] = {}
    for split, place in (splits or {"train": images}).items():
        beside = masks / place.relative_to(images)
        if not beside.is_dir():
            beside = masks
        given[split] = [
            Entry(
                image.relative_to(root).as_posix(),
                image,
                mask=(beside / image.relative_to(place)).with_suffix(".png"),
            )
            for image in images_under(place)
            if masks not in image.parents
        ]
    return given


class Masks(Files):
    """A collection of image files with masks."""

    def __init__(
        self,
        path: str,
        title: str,
        given: Mapping[Split, Sequence[Entry]],
        layout: Layout,
        names: tuple[str, ...],
        notes: Sequence[str],
    ) -> None:
        super().__init__(f"{layout.name}:{path}", title, given, targets={}, notes=notes)
        self.layout, self.classes = layout, names

    def sample(self, entry: Entry) -> Sample:
        """One image with its mask. Raises Refusal where either cannot be read or their sizes differ."""
        sample = super().sample(entry)
        assert entry.mask is not None
        numbers = read_mask(entry.mask)
        with Image.open(entry.path) as image:
            (width, height), turned = image.size, image.getexif().get(0x0112, 1) in range(2, 9)
        if turned:
            raise Refusal("Its EXIF data turns it, and whether its mask was turned with it cannot be known.")
        if numbers.shape != (height, width):
            raise Refusal(
                f"It has {width} × {height} pixels and its mask {numbers.shape[1]} × {numbers.shape[0]}: "
                "they must have the same size."
            )
        classes = self.layout.indices(fitted_mask(numbers, sample.pixels.shape[:2]), len(self.classes))
        strange = self.layout.strange(numbers, len(self.classes))
        if strange and (classes == len(self.classes)).all():
            raise Refusal(f"Its mask holds no class, but {_listed(strange)}: classes are {self._range}.")
        return replace(sample, classes=classes, regions=classes)

    @property
    def _range(self) -> str:
        return f"{self.layout.first} to {self.layout.first + len(self.classes) - 1}"


def _met(masks: Sequence[Path], layout: Layout, count: int) -> list[str]:
    """What the first masks hold that is read as no class, in sentences: numbers, and unlabelled pixels."""
    strange: set[int] = set()
    shares: list[float] = []
    several = 0
    for path in masks[:LOOKED_INTO]:
        try:
            numbers = read_mask(path)
        except Refusal:
            continue  # said of the image by its name, once it is read
        found = layout.strange(numbers, count)
        strange |= found
        several += bool(found)
        shares.append(float((numbers == layout.unlabelled).mean()))
    said = []
    if strange:
        said.append(
            f"{several:,} of the first {len(shares):,} masks hold numbers that are no class "
            f"({_listed(strange)}): their pixels count as unlabelled. Classes are {layout.first} "
            f"to {layout.first + count - 1}."
        )
    if any(shares):
        said.append(
            f"{layout.unlabelled} is unlabelled: {100 * float(np.mean(shares)):.0f} % of the pixels of the "
            f"first {len(shares):,} masks."
        )
    return said


def _listed(numbers: set[int]) -> str:
    first = ", ".join(map(str, sorted(numbers)[:4]))
    return f"{first} and {len(numbers) - 4} more" if len(numbers) > 4 else first


def read_mask(path: Path) -> np.ndarray:
    """The numbers of a mask, integers (H, W). Raises Refusal where it is missing or holds no numbers."""
    if not path.is_file():
        raise Refusal(f"It has no mask: “{path.name}” does not exist.")
    return numbers_of(path, f"Its mask “{path.name}”")


def numbers_of(file: Path | BinaryIO, called: str) -> np.ndarray:
    """The numbers of a mask in a PNG, integers (H, W). Raises Refusal where it holds none."""
    try:
        with Image.open(file, formats=["PNG"]) as image:
            numbers = np.array(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise Refusal(f"{called} cannot be read as a PNG.") from None
    if numbers.dtype == np.bool_:
        numbers = numbers.astype(np.uint8)
    if numbers.ndim != 2 or numbers.dtype.kind not in "ui":
        raise Refusal(
            f"{called} is a picture in colours, not one number for each pixel. Convert it to a greyscale or "
            "palette PNG whose values are the classes."
        )
    return numbers


def fitted_mask(numbers: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask at the size (height, width) that its image was fitted to, by nearest neighbour."""
    high, wide = size
    rows = ((np.arange(high) + 0.5) * numbers.shape[0] / high).astype(int)
    cols = ((np.arange(wide) + 0.5) * numbers.shape[1] / wide).astype(int)
    return numbers[rows][:, cols]


def _guess(splits: Mapping[Split, Path], images: Path) -> str:
    """The layout that the names of folders and files show."""
    named = {place.name.lower() for place in splits.values()}
    if named & {"train2017", "val2017"}:
        return "coco-stuff"
    ade = named & {"training"} or any(path.name.startswith("ADE_") for path in images_under(images)[:1])
    return "ade20k" if ade else "masks"


def _names(root: Path, layout: Layout) -> tuple[str, ...]:
    """What classes are called, by a list that lies with them, else by their numbers."""
    for name in LISTS:
        if (path := root / name).is_file():
            found = _parsed(path.read_text("utf-8", errors="replace"), layout)
            if found:
                return found
    return layout.numbers()


def _parsed(text: str, layout: Layout) -> tuple[str, ...]:
    """Names of a list: "7: bus" (COCO-Stuff counts its unlabelled as 0), ADE20K's table, or a name a line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if numbered := [re.fullmatch(r"(\d+)\s*[:\t]\s*(.+)", line) for line in lines]:
        pairs = {int(m[1]): m[2].split("\t")[-1].strip() for m in numbered if m}
        if len(pairs) >= len(lines) - 1 and pairs:
            if layout.name == "coco-stuff" and pairs.get(0, "").startswith("unlabel"):
                pairs = {k - 1: name for k, name in pairs.items() if k}
            first = layout.first
            return tuple(pairs.get(k, f"class {k}") for k in range(first, max(pairs) + 1))
    return tuple(lines)
