"""A series of checkpoints of one model: what one training left on its way."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.errors import Refusal
from workbench.models import CONFIGURATIONS, embedded, plain
from workbench.runs.archive import by_numbers

OWN = Path("training/anew")
"""Where a short series of the embedded model is trained; its checkpoints are in "series" below."""
MAKING = (
    *("train", "base", "--start", "assets/checkpoints/pocket-bagel", "--anew", "--keep", "40"),
    *("--out", str(OWN)),
)
"""The command that does."""


def refuse() -> None:
    """Raises Refusal: the short series is not there, and this makes it."""
    command = f"python -m workbench {shlex.join(MAKING)}"
    raise Refusal(f"{OWN / 'series'} holds no finished series yet. “{command}” trains it.")


def checkpoints(given: Any, unmade: Callable[[], None] = refuse) -> dict[str, str]:
    """The checkpoints of a series by short names, in order.

    Args:
        given: a folder that holds them, ordered by the numbers in their names; or a list of folders and ids,
            in that order.
        unmade: what is done about the short series of the embedded model where it is named and not there.

    Raises:
        Refusal: there are none, or two of one name.
    """
    if isinstance(given, str):
        if Path(given) == OWN / "series" and not (OWN / "pocket-bagel").is_dir():  # That comes last.
            unmade()
        found = [str(folder) for folder in _inside(Path(given).expanduser())]
        if not found:
            raise Refusal(
                f"{given} holds no checkpoints. A short series of the embedded model is {OWN / 'series'}."
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
