"""A series of checkpoints of one model: what one training left on its way."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from workbench.errors import Refusal
from workbench.models import CONFIGURATIONS, embedded, plain
from workbench.runs.archive import by_numbers

MAKING = (
    "python -m workbench train base --start assets/checkpoints/pocket-bagel --anew --keep 20 "
    "--out training/anew"
)
"""Makes a short series of the embedded model."""


def checkpoints(given: Any) -> dict[str, str]:
    """The checkpoints of a series by short names, in order.

    Args:
        given: a folder that holds them, ordered by the numbers in their names; or a list of folders and ids,
            in that order.

    Raises:
        Refusal: there are none, or two of one name.
    """
    if isinstance(given, str):
        found = [str(folder) for folder in _inside(Path(given).expanduser())]
        if not found:
            raise Refusal(
                f"{given} holds no checkpoints yet. A series of the embedded model comes from “{MAKING}”, "
                "which writes it to training/anew/series."
            )
    elif isinstance(given, list) and given and all(isinstance(each, str) and each for each in given):
        found = given
    else:
        raise Refusal("A series is a folder of checkpoints, or a list of folders and ids.")
    names = {_short(each): each for each in found}
    if len(names) < len(found):
        raise Refusal("Two checkpoints of the series have the same name. Name their folders differently.")
    return names


def _inside(folder: Path) -> list[Path]:
    try:
        below = [path for path in folder.iterdir() if any((path / file).is_file() for file in CONFIGURATIONS)]
    except OSError:
        return []
    return sorted(below, key=by_numbers)


def _short(given: str) -> str:
    """A name that can be a folder's."""
    last = given if given in embedded() else Path(plain(given)).name
    return re.sub(r"[^A-Za-z0-9 _.,+-]", "-", last).lstrip(" _.,+-") or "checkpoint"
