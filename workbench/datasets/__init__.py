"""Collections of images with labels, masks or questions, behind one protocol; `open_collection` opens one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from workbench.datasets.collection import Collection
from workbench.errors import Refusal

SCENES = "scenes"
KINDS = {
    "scenes": "the bundled scenes",
    "folder": "FOLDER/CLASS/IMAGE, or with train, val and test folders above the classes",
    "coco-stuff": "images and pixel maps in COCO-Stuff's layout, or parquet with such masks",
    "ade20k": "images and annotations in ADE20K's layout, or parquet with such masks",
    "masks": "images and PNG masks of the same names in two folders",
    "parquet": "a parquet file or a folder of them",
    "hub": "a data set of the Hugging Face hub, OWNER/NAME or OWNER/NAME@CONFIGURATION",
    "tsv": "a benchmark in VLMEvalKit's TSV",
}


def open_collection(spec: str) -> Collection:
    """The collection that a person named: "scenes", "KIND:PLACE", or a place whose kind shows.

    A file's kind shows in its name, a folder's in what it holds; OWNER/NAME that is no folder is a data set
    of the hub. Raises Refusal where there is no such collection, saying what would be one.
    """
    words = spec.strip() or SCENES
    kind = kind_of(words)
    return _openers()[kind](words.removeprefix(f"{kind}:"))


def kind_of(spec: str) -> str:
    """Which of KINDS a collection is. Raises Refusal where it is none."""
    kind, colon, _ = spec.partition(":")
    return kind if colon and kind in KINDS else _kind_of(spec)


def distant(spec: str) -> bool:
    """Whether a collection lies on the hub, whatever its kind. Raises Refusal where it is none."""
    kind = kind_of(spec)
    masked = kind in ("coco-stuff", "ade20k")
    return kind == "hub" or (masked and _kind_of(spec.removeprefix(f"{kind}:")) == "hub")


def _kind_of(place: str) -> str:
    path = Path(place).expanduser()
    if place == SCENES:
        return "scenes"
    if path.is_file():
        by_suffix = {".tsv": "tsv", ".parquet": "parquet"}
        if (kind := by_suffix.get(path.suffix.lower())) is None:
            raise Refusal(
                f"{place} is a file, and none of a kind that holds images with labels: give a .parquet or a "
                "VLMEvalKit .tsv, or a folder."
            )
        return kind
    if path.is_dir():
        return _kind_of_folder(path)
    from workbench.datasets.hub import NAME

    if NAME.fullmatch(place):
        return "hub"
    raise Refusal(
        f"There are no data at {place}. Give “scenes”, a folder of images, a .parquet, a VLMEvalKit .tsv, or "
        "the id of a data set of the Hugging Face hub (OWNER/NAME)."
    )


def _kind_of_folder(folder: Path) -> str:
    from workbench.datasets.masks import IMAGES, MASKS

    if any((folder / i).is_dir() for i in IMAGES[:2]) and any((folder / m).is_dir() for m in MASKS):
        return "masks"
    if any((folder / m).is_dir() for m in MASKS[:4]) and any(folder.glob("*2017")):
        return "masks"
    return "parquet" if next(folder.rglob("*.parquet"), None) else "folder"


def _openers() -> dict[str, Callable[[str], Collection]]:
    from workbench.datasets.folder import open_folder
    from workbench.datasets.masks import open_masks
    from workbench.datasets.scenes import DrawnScenes
    from workbench.datasets.table import open_hub, open_table
    from workbench.datasets.vlmeval import open_tsv

    def masked(place: str, layout: str) -> Collection:
        by_kind = {"parquet": open_table, "hub": open_hub}
        return by_kind.get(_kind_of(place), open_masks)(place, layout)

    return {
        "scenes": lambda place: DrawnScenes(),
        "folder": open_folder,
        "coco-stuff": lambda place: masked(place, "coco-stuff"),
        "ade20k": lambda place: masked(place, "ade20k"),
        "masks": open_masks,
        "parquet": open_table,
        "hub": open_hub,
        "tsv": open_tsv,
    }
