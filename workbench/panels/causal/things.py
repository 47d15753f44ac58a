"""What a question names, where masks tell: the pixels of that one thing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from workbench.datasets.collection import Sample


@dataclass(frozen=True)
class Thing:
    """A part of a picture: its name and its pixels, bool (H, W)."""

    name: str
    mask: NDArray[np.bool_]


def thing_in(question: str, sample: Sample | None, classes: Sequence[str]) -> Thing | None:
    """The one class that the question names, as a word of its own, and whose pixels the picture has.

    None where the question names none or several of those that are there, or nothing is known of the pixels.
    It goes by the words alone, so of "what lies left of the star?" it is the star. Ours.
    """
    if sample is None or sample.classes is None:
        return None
    words = " ".join(re.findall(r"\w+", question.casefold()))
    present = set(np.unique(sample.classes).tolist())
    named = [
        k
        for k, name in enumerate(classes)
        if k in present and re.search(rf"\b{re.escape(name.casefold())}s?\b", words)
    ]
    if len(named) != 1:
        return None
    return Thing(classes[named[0]], sample.classes == named[0])


def regions(sample: Sample | None, classes: Sequence[str]) -> list[Thing]:
    """Every object and every background of a picture, named by the class of most of its pixels."""
    if sample is None or sample.regions is None:
        return []
    found = []
    for number in np.unique(sample.regions).tolist():
        mask = sample.regions == number
        name = f"region {number}"
        if sample.classes is not None:
            values, counts = np.unique(sample.classes[mask], return_counts=True)
            k = int(values[counts.argmax()])
            if not 0 <= k < len(classes):
                continue  # nobody knows what is there
            name = classes[k]
        found.append(Thing(name, mask))
    return found
