"""One visitor's folder and running work: nobody else can name it, and it ends soon after the visit."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.errors import Cancelled, Refusal

MAX_AGE = 6 * 3600.0
"""Seconds after its last use at which a session's folder is removed."""


class Session:
    """A folder with an unguessable name and the stop flags of the work begun for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.closed = False
        self.waiting: set[str] = set()
        """Panels whose look was asked for and has not begun."""
        self.failed: dict[str, tuple[Any, ...]] = {}
        """By panel, the bench's values with which its last look failed or was stopped."""
        self.chosen: dict[str, Any] = {}
        """What the visitor chose to be shown of results, kept from look to look while it holds."""
        self._running: dict[threading.Event, str] = {}
        self._lock = threading.Lock()

    def sub(self, name: str) -> Path:
        """A folder inside this session's, made if need be; nobody else may read it.

        Raises Cancelled once the session is closed: what is left of its work must not bring the folder back.
        """
        path = self.folder / name
        with self._lock:
            if self.closed:
                raise Cancelled
            try:
                path.mkdir(mode=0o700, exist_ok=True)
            except OSError as error:
                raise Refusal(
                    f"{self.folder.parent} cannot be written to ({error.strerror}). Free some space there."
                ) from error
        return path

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around whatever writes to the folder: what a visit's end overtakes goes once it is written."""
        try:
            yield
        finally:
            if self.closed:
                shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def working(self, study: str = "") -> Iterator[threading.Event]:
        """The stop flag of one piece of work for a study, known to ``stop`` for as long as it runs."""
        flag = threading.Event()
        with self._lock:
            self._running[flag] = study
            if self.closed:
                flag.set()
        try:
            yield flag
        finally:
            flag.set()
            with self._lock:
                self._running.pop(flag, None)

    @property
    def busy(self) -> bool:
        """Whether work begun for this session is still running."""
        return bool(self._running)

    def measures(self, study: str) -> bool:
        """Whether a look of this study is waited for or running."""
        with self._lock:
            return study in self.waiting or study in self._running.values()

    def stop(self, study: str | None = None) -> None:
        """Ask the work for one study to end, or without one all work of this session."""
        with self._lock:
            for flag, running in self._running.items():
                if study in (None, running):
                    flag.set()

    def close(self) -> None:
        """Stop the work and remove the folder."""
        with self._lock:
            self.closed = True
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Sessions:
    """All visits to one running workbench, by the hash that the browser sends with each call."""

    def __init__(self, root: Path | None = None, max_age: float = MAX_AGE) -> None:
        self.root = root or Path(tempfile.gettempdir()) / f"afterimage-{_user()}"
        self.max_age = max_age
        self._open: dict[str, Session] = {}
        self._lock = threading.Lock()
        atexit.register(self.close_all)

    def of(self, visitor: str | None) -> Session:
        """The session of a visitor, begun on first use."""
        key = visitor or "local"
        with self._lock:
            session = self._open.get(key)
            if session is None or session.closed:
                self._sweep()
                session = Session(self.root / secrets.token_urlsafe(24))
                self._open[key] = session
            try:
                self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
                session.folder.mkdir(exist_ok=True, mode=0o700)
                session.folder.touch()
            except OSError as error:
                raise Refusal(
                    f"{self.root} cannot be written to ({error.strerror}). Free some space there."
                ) from error
            return session

    def close(self, visitor: str | None) -> None:
        """End a visit: its work stops, its folder goes."""
        with self._lock:
            session = self._open.pop(visitor or "local", None)
        if session is not None:
            session.close()

    def close_all(self) -> None:
        """End every visit, as at exit."""
        for visitor in list(self._open):
            self.close(visitor)

    def _sweep(self) -> None:
        """Remove folders nobody has used for ``max_age``, also those a killed process left behind."""
        if not self.root.is_dir():
            return
        oldest = time.time() - self.max_age
        for folder in self.root.iterdir():
            try:
                old = folder.stat().st_mtime < oldest
            except OSError:
                continue
            if old:
                shutil.rmtree(folder, ignore_errors=True)
        for visitor, session in list(self._open.items()):
            if not session.folder.exists() and not session.busy:
                del self._open[visitor]


def _user() -> str:
    """Whose process this is, so that two people on one machine have two roots."""
    return str(os.getuid()) if hasattr(os, "getuid") else "user"
