"""Which thing a question is about, where the classes of the pixels are known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.panels.attribution.measuring import Truth

if TYPE_CHECKING:
    from workbench.datasets.collection import Sample


def named(question: str, sample: Sample, classes: Sequence[str]) -> Truth | None:
    """The mask of the one class that a question names and the image shows; None where that is none or two."""
    if sample.classes is None:
        return None
    words = set(re.findall(r"\w+", question.lower()))
    found = [number for number, name in enumerate(classes) if name.lower() in words]
    shown = [number for number in found if (sample.classes == number).any()]
    if len(found) != 1 or not shown:
        return None
    return Truth(classes[shown[0]], sample.classes == shown[0])
