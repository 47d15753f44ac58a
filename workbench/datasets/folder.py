"""A folder of images, labelled by the folder that each lies in, as torchvision's ImageFolder reads them."""

from __future__ import annotations

from pathlib import Path

from workbench.datasets.collection import Split
from workbench.datasets.files import NAMED_SPLITS, Entry, Files, folder_at, given_splits, images_under

TARGET = "class"
FEW = 5
"""Folders that are named in a note."""


def open_folder(path: str) -> Files:
    """FOLDER/CLASS/IMAGE, or FOLDER/{train,val,test}/CLASS/IMAGE; without classes, images with no labels.

    Raises Refusal where there is no such folder, or it holds no image.
    """
    folder = folder_at(path)
    inner: dict[Split, Path] = given_splits(folder) or {"train": folder}
    found = {split: images_under(place) for split, place in inner.items()}
    names = {split: [_class_of(image, inner[split]) for image in found[split]] for split in inner}
    classes = tuple(sorted({name for each in names.values() for name in each if name}))
    loose = sum(not name for each in names.values() for name in each)
    notes = _called_like_splits(classes) if inner == {"train": folder} else []
    if classes and loose:
        notes.append(f"{loose:,} images lie in no class's folder; they have no label.")
    if len(classes) == 1:
        notes.append(f"All its images are of one class ({classes[0]}), so there is no label to read.")
    targets = {TARGET: classes} if len(classes) > 1 else {}
    given = {
        split: [
            Entry(
                image.relative_to(folder).as_posix(),
                image,
                classes.index(name) if name in targets.get(TARGET, ()) else None,
            )
            for image, name in zip(found[split], names[split], strict=True)
        ]
        for split in inner
    }
    return Files(f"folder:{path}", folder.resolve().name, given, targets=targets, notes=notes)


def _called_like_splits(classes: tuple[str, ...]) -> list[str]:
    """What to say where two classes or more are called like splits: others stand beside them."""
    splits = [name for name in classes if name.lower() in NAMED_SPLITS]
    others = [name for name in classes if name not in splits]
    if len(splits) < 2 or not others:
        return []
    few = ", ".join(others[:FEW]) + (f" and {len(others) - FEW:,} more" if len(others) > FEW else "")
    return [
        f"Its folders {', '.join(splits)} are called like splits and were taken for classes, as {few} beside "
        "them: their images were divided anew. Where they are splits, move what is none out of the folder."
    ]


def _class_of(image: Path, root: Path) -> str:
    """The name of the first folder below the root, empty where the image lies in the root itself."""
    parts = image.relative_to(root).parts
    return parts[0] if len(parts) > 1 else ""
