"""What lies on the bench: a picture with where it came from, found again by what one would type."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import Refusal
from workbench.images.corruptions import CORRUPTIONS, corrupt

if TYPE_CHECKING:
    from workbench.datasets.batches import Batch
    from workbench.images.read import Picture
    from workbench.models.protocol import ModelCard

SCENE = "scene:"
CLEAN = "none"
"""The condition in which the picture is left as it is."""


@dataclass(frozen=True)
class Specimen:
    """A picture; ``source`` finds it again ("scene:4211", or a path); scenes bring question and answer."""

    picture: Picture
    source: str
    name: str
    question: str = ""
    truth: str = ""

    @property
    def is_scene(self) -> bool:
        """Whether it comes from the generator that the embedded model was trained on (its test split)."""
        return self.source.startswith(SCENE)


def find(source: str, *, whole: bool = False) -> Specimen:
    """The picture that ``source`` names: "scene:SEED" (test split) or a file. Raises Refusal.

    whole: as many pixels as the file has.
    """
    if not source:
        raise Refusal("Name an image: a file, or scene:SEED for a drawn scene.")
    if source.startswith(SCENE):
        return scene(source.removeprefix(SCENE))
    return from_file(Path(source), source, whole=whole)


def from_file(path: Path, source: str, *, whole: bool = False) -> Specimen:
    """A picture from a file, fitted to 1,024 pixels but if ``whole``. Raises Refusal if it cannot be read."""
    from workbench.images.fit import fitted
    from workbench.images.read import read

    picture = read(path, name=Path(source).name)
    return Specimen(picture if whole else fitted(picture), source, Path(source).name)


def scene(seed: str | int) -> Specimen:
    """A scene of the test split with a question. Raises Refusal where the seed is not a whole number."""
    from workbench.images.read import read
    from workbench.images.scene_language import questions
    from workbench.images.scenes import generate

    try:
        number = int(seed)
    except ValueError:
        raise Refusal(f"A scene is named by a whole number, as in scene:4211; {seed!r} is not one.") from None
    if not 0 <= number < 2**31:
        raise Refusal(f"A scene's number lies between 0 and {2**31 - 1:,}; it is {number}.")
    drawn = generate([number], "test")
    asked = questions(drawn, 0, np.random.default_rng(number))
    chosen = next((q for q in asked if q.kind == "colour"), asked[0])
    name = f"scene {number} (test)"
    return Specimen(read(drawn.images[0], name=name), f"{SCENE}{number}", name, chosen.text, chosen.answer)


def truth(source: str, pixels: np.ndarray) -> Batch | None:
    """A drawn scene's labels, if that is what the pixels are: only then is what stands where known."""
    if not source.startswith(SCENE):
        return None
    from workbench.datasets.batches import Batch
    from workbench.datasets.scenes import labelled
    from workbench.images.scenes import CLASSES, generate

    drawn = labelled(generate([int(source.removeprefix(SCENE))], "test"), 0)
    return Batch((drawn,), len(CLASSES)) if np.array_equal(drawn.pixels, pixels) else None


def regions_of(labels: Batch, boxes: np.ndarray, purity: float) -> np.ndarray | None:
    """The regions (tokens,) of patches of the one picture that a batch holds; None where it has no mask."""
    found = labels.patch_regions(boxes, purity)
    return None if found is None else found[0]


def outside(source: str, card: ModelCard) -> str:
    """What to know where the picture is none of those that the model was trained on; empty otherwise."""
    if source.startswith(SCENE) or "scene" not in card.knows:
        return ""
    return (
        f"{card.id} knows {card.knows}. A picture outside that is measured all the same, but the words and "
        "the drawing are those of a model that has never seen the like."
    )


def known(corruption: str) -> str:
    """A corruption's name as given. Raises Refusal where there is none of that name."""
    if corruption != CLEAN and corruption not in CORRUPTIONS:
        raise Refusal(
            f"There is no corruption {corruption!r}. Choose none or one of {', '.join(CORRUPTIONS)}."
        )
    return corruption


def degrade(pixels: np.ndarray, corruption: str, intensity: float, seed: int) -> np.ndarray:
    """The image as the model gets it: uint8, same shape. Raises Refusal for an unknown corruption."""
    if known(corruption) == CLEAN:
        return pixels
    return corrupt(pixels, corruption, intensity, seed=seed)
