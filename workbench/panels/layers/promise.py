"""What a layers study will hold, as far as its settings and its data tell before a model opens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.datasets import distant, open_collection
from workbench.panels.layers.config import LayersConfig, Measure
from workbench.panels.layers.measures import ANY, accuracy_of, neighbours_of, streamed_of
from workbench.panels.specimen import SCENE

if TYPE_CHECKING:
    from workbench.datasets.collection import Collection

OF_MASKS = ("cohesion", "coupling", "contrast ratio", "contrast difference")
OF_READERS = (accuracy_of(ANY), streamed_of(ANY), neighbours_of(ANY))
MADE_BY: dict[Measure, tuple[str, ...]] = {
    "linear reader": (accuracy_of(ANY),),
    "neighbours": (neighbours_of(ANY),),
    "ridge reader": (streamed_of(ANY),),
    "segmentation": ("patch accuracy", "patch mIoU"),
    "content": ("pixels R²", "colour R²", "depth R²"),
    "structure": (*OF_MASKS, "neighbour cosine", "far cosine", "neighbour - far", "Moran's I"),
    "geometry": (
        *("effective dimension", "anisotropy", "token norm", "outlier tokens"),
        *("effective dimension, all tokens", "components for 90 %", "feature correlation"),
    ),
    "likeness": ("cosine to llm 0", "CKA with llm 0"),
    "lens": ("lens entropy", "tokens that read as words"),
}
"""The curves that each kind of measure makes over a collection; ANY stands for its labels."""
COMPARED = ("CKA with the first",)
"""Curves of two results beside one another, from what likeness keeps of each."""
OF_PICTURE = (
    *MADE_BY["structure"],
    *MADE_BY["geometry"][:4],
    "feature correlation",
    *MADE_BY["likeness"],
)
"""The curves of one picture."""


def lacks(config: LayersConfig, curves: Sequence[str]) -> str:
    """Why a run of these settings will have none of the curves, in a sentence; empty where it may have one.

    Nothing is fetched for this: of a collection of the hub the settings alone are asked.

    Raises:
        Refusal: the data are not there.
    """
    if config.image:
        found = [_of_picture(config, name) for name in curves]
    else:
        data = None if distant(config.data) else open_collection(config.data)
        found = [_of_collection(config, data, name) for name in curves]
    return "" if not all(found) else found[0]


def lacks_kind(config: LayersConfig, kind: Measure, what: str) -> str:
    """The same for something that comes with one kind of measure over a collection."""
    if config.image:
        return f"it looks at one picture; {what}: of a collection only."
    return "" if kind in config.measures else f"its measures leave out {kind!r}."


def _of_picture(config: LayersConfig, name: str) -> str:
    if name in COMPARED:
        return ""
    if name not in OF_PICTURE:
        return f"it looks at one picture; {name} needs a collection." if _kind(name) else _unknown(name)
    if name in OF_MASKS and not config.image.startswith(SCENE):
        return f"{name} needs to know what stands where, and of {config.image} that is not known."
    return ""


def _of_collection(config: LayersConfig, data: Collection | None, name: str) -> str:
    kind = _kind(name)
    if kind is None:
        return _unknown(name)
    if kind not in config.measures:
        return f"its measures leave out {kind!r}."
    if data is None:
        return ""
    if (name in OF_MASKS or kind == "segmentation") and not data.classes:
        return f"{data.title} has no masks."
    start = next((start for each in OF_READERS if name.startswith(start := each.removesuffix(ANY))), None)
    if start is None:
        return ""
    if not data.targets:
        return f"{data.title} has no labels of whole images."
    read, label = config.targets or data.defaults, name.removeprefix(start)
    return "" if label in (*read, ANY) else f"of {data.title} it reads {', '.join(read)}, not {label!r}."


def _kind(name: str) -> Measure | None:
    """The kind of measure that makes a curve."""
    if name in COMPARED:
        return "likeness"
    for kind, made in MADE_BY.items():
        if any(name == each or (each.endswith(ANY) and name.startswith(each[:-1])) for each in made):
            return kind
    return None


def _unknown(name: str) -> str:
    return f"there is no measure {name!r}."
