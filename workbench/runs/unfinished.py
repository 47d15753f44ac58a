"""Work that a kill may end: what it has gathered, put down now and then and taken up again.

One folder for each piece of work, named by its key, under the cache folder of the person who runs it. Each
file is written beside its place and renamed into it, so that what is found is whole. What other code put down
is not taken up: its rows may lack what this one expects, or mean something else by the same name.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workbench.runs.code import code

ARRAYS, ABOUT, DONE = "arrays.safetensors", "about.json", "done"
CODE = "code"
"""What the digest of the code is called among what is kept."""
EVERY = 60.0
"""Seconds of work that may be lost."""
SHARE = 20.0
"""Times as long as it took to write, until it is written again: large states must not slow the work."""
MAX_AGE = 14 * 86_400.0
"""Seconds after which work that nobody took up again is removed."""
AFTER = 3_600.0
"""Seconds after which work that was done is removed: the disk that its result goes to may be full."""


def place() -> Path:
    """The folder of unfinished work of whoever runs this."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "afterimage" / "unfinished"


class Unfinished:
    """What one piece of work has gathered so far."""

    def __init__(self, key: str, root: Path | None = None, *, every: float | None = None) -> None:
        """Args:
        key: names everything that decides the work.
        root: `place()` if not given.
        every: EVERY if not given.
        """
        self.folder = (root or place()) / key
        self._every = every
        self._due = time.monotonic() + self.every
        _forget_old(self.folder.parent)

    @property
    def every(self) -> float:
        """Seconds of work that may be lost."""
        return EVERY if self._every is None else self._every

    @property
    def due(self) -> bool:
        """Whether it is time to write again."""
        return time.monotonic() >= self._due

    def keep(self, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bool:
        """Write what is gathered; False where the disk does not take it, which is no reason to stop."""
        from safetensors.numpy import save_file

        started = time.monotonic()
        fresh = self.folder.with_name(f".{self.folder.name[:40]}.{uuid.uuid4().hex}.tmp")
        try:
            fresh.mkdir(parents=True)
            save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, fresh / ARRAYS)
            (fresh / ABOUT).write_text(json.dumps({**about, CODE: code()}), encoding="utf-8")
            old = fresh.with_suffix(".old.tmp")
            if self.folder.exists():
                os.replace(self.folder, old)
            os.replace(fresh, self.folder)
            shutil.rmtree(old, ignore_errors=True)
            return True
        except OSError:
            return False
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            now = time.monotonic()
            self._due = now + max(self.every, SHARE * (now - started))

    def found(self) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """What an earlier run of the same work by the same code had gathered; None where nothing whole is."""
        places = [self.folder]
        if not self.folder.is_dir():
            # A kill between two renames leaves what was put down last, and what was before it.
            with contextlib.suppress(OSError):
                beside = self.folder.parent.glob(f".{self.folder.name[:40]}.*.tmp")
                places = sorted(beside, key=lambda path: path.stat().st_mtime, reverse=True)
        return next((found for place in places if (found := _whole(place)) is not None), None)

    def done(self) -> None:
        """It may be forgotten after a while: the result is kept elsewhere, if that does not fail."""
        with contextlib.suppress(OSError):
            if self.folder.is_dir():
                (self.folder / DONE).touch()


def _whole(place: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """What a folder holds, if it is whole and this code's."""
    from safetensors.numpy import load_file

    try:
        about = json.loads((place / ABOUT).read_text("utf-8"))
        return None if about.pop(CODE) != code() else (about, dict(load_file(place / ARRAYS)))
    except Exception:  # Whatever a damaged file makes the parsers say: the work begins anew.
        return None


def _forget_old(root: Path) -> None:
    """Remove what has been lying for long."""
    with contextlib.suppress(OSError):
        for path in root.iterdir():
            age = AFTER if (path / DONE).exists() else MAX_AGE
            if time.time() - path.stat().st_mtime > age:
                shutil.rmtree(path, ignore_errors=True)
