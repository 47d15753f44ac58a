"""One visitor's folder and running work: nobody else can name it, and it ends soon after the visit."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import Cancelled, Refusal
from workbench.page.recent import Recent

if TYPE_CHECKING:
    import gradio as gr

    from workbench.runs.result import Result

MAX_AGE = 6 * 3600.0
"""Seconds after its last use at which a session's folder is removed."""


class Session:
    """A folder with an unguessable name, made when first written to, and the stop flags of running work.

    ``recent`` holds the results used last in memory; all visits share it. ``common`` holds those that are
    open for everybody.
    """

    def __init__(self, folder: Path, recent: Recent, common: Mapping[str, Result]) -> None:
        self.folder = folder
        self.closed = False
        self.used = time.time()
        """When the visitor last did something: seconds since the epoch."""
        self.failed: dict[str, tuple[Any, ...]] = {}
        """By panel, the bench's values with which its last look failed or was stopped."""
        self.chosen: dict[str, Any] = {}
        """What the visitor chose to be shown of results, kept from look to look while it holds."""
        self.opened = set(common)
        """Ids of the results that came from saved runs: what lies on the bench did not make them."""
        self.drawn: dict[str, str | None] = {}
        """By study, the id of the result that was last drawn in its panel."""
        self.due: dict[str, str] = {}
        """By study, the id of such a result that its panel shows once it is in front."""
        self.model: Hashable = None
        """What is on the visitor's bench, by what the host knows it as; None before the page has loaded."""
        self._recent, self._common = recent, common
        self._asked: dict[str, deque[threading.Event]] = {}
        self._running: dict[threading.Event, str] = {}
        self._lock = threading.Lock()

    def place(self, name: str) -> Path:
        """Where a folder inside this session's stands once something was written there.

        Raises Cancelled once the session is closed: nobody is there to read it.
        """
        if self.closed:
            raise Cancelled
        return self.folder / name

    def sub(self, name: str) -> Path:
        """A folder inside this session's to write to, made if need be; nobody else may read it.

        Raises Cancelled once the session is closed: what is left of its work must not bring the folder back.
        Raises Refusal where nothing can be written.
        """
        with self._lock:
            path = self.place(name)
            try:
                self.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                for folder in (self.folder, path):
                    folder.mkdir(mode=0o700, exist_ok=True)
            except OSError as error:
                raise Refusal(
                    f"{self.folder.parent} cannot be written to ({error.strerror}). Free some space there, "
                    "or start the workbench with TMPDIR naming another folder."
                ) from error
        return path

    def recall(self, key: str) -> Result | None:
        """A result that ``remember`` was given, if it is still in memory; or one that is open for all."""
        return self._common.get(key) or self._recent.get(self.folder.name, key)

    def remember(self, key: str, result: Result) -> None:
        """Hold a result in memory until the session is closed, or others need the room.

        Raises Cancelled once the session is closed.
        """
        with self._lock:
            if self.closed:
                raise Cancelled
            self._recent.put(self.folder.name, key, result)

    def touch(self) -> None:
        """The visitor is there: the folder's age, which other processes go by as well, begins anew."""
        self.used = time.time()
        with suppress(OSError):
            os.utime(self.folder)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around whatever writes to the folder: what a visit's end overtakes goes once it is written."""
        try:
            yield
        finally:
            if self.closed:
                shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, study: str) -> None:
        """Work for a study will begin: from now on ``stop`` ends it, also where it waits in a queue."""
        with self._lock:
            self._asked.setdefault(study, deque()).append(threading.Event())

    @contextmanager
    def working(self, study: str = "") -> Iterator[threading.Event]:
        """The stop flag of one piece of work for a study, known to ``stop`` for as long as it runs.

        Work that was asked for before begins in the order of asking, stopped from the start where a stop came
        in between.
        """
        with self._lock:
            asked = self._asked.get(study)
            flag = asked.popleft() if asked else threading.Event()
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
        """Whether work for this study is waited for or running, and was not stopped."""
        with self._lock:
            running = (flag for flag, name in self._running.items() if name == study)
            return not all(flag.is_set() for flag in chain(running, self._asked.get(study, ())))

    def stop(self, study: str | None = None) -> None:
        """Ask the work for one study to end, or without one all work of this session."""
        with self._lock:
            asked = ((flag, name) for name, flags in self._asked.items() for flag in flags)
            for flag, name in chain(self._running.items(), asked):
                if study in (None, name):
                    flag.set()

    def close(self) -> None:
        """Stop the work, remove the folder and forget the results."""
        with self._lock:
            self.closed = True
        self.stop()
        self._recent.drop(self.folder.name)
        shutil.rmtree(self.folder, ignore_errors=True)


class Sessions:
    """All visits to one running workbench, by the hash that the browser sends with each call."""

    def __init__(self, root: Path | None = None, max_age: float = MAX_AGE) -> None:
        self.root = root or Path(tempfile.gettempdir()) / f"afterimage-{_user()}"
        self.max_age = max_age
        self.common: dict[str, Result] = {}
        """Results that are open for everybody, by id."""
        self._recent = Recent()
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
                session = Session(self.root / secrets.token_urlsafe(24), self._recent, self.common)
                self._open[key] = session
            session.touch()
            return session

    def close(self, visitor: str | None) -> None:
        """End a visit: its work stops, its folder goes."""
        with self._lock:
            session = self._open.pop(visitor or "local", None)
        if session is not None:
            session.close()

    def by(self, request: gr.Request | None) -> Session:
        """The session of whoever made a request."""
        return self.of(getattr(request, "session_hash", None))

    def use(self, model: Hashable) -> bool:
        """Whether some visitor has this model on the bench."""
        return any(session.model == model for session in list(self._open.values()) if not session.closed)

    def close_all(self) -> None:
        """End every visit, as at exit."""
        for visitor in list(self._open):
            self.close(visitor)

    def _sweep(self) -> None:
        """End what nobody has used for ``max_age``, and remove folders that a killed process left behind."""
        oldest = time.time() - self.max_age
        for visitor, session in list(self._open.items()):
            if session.used < oldest and not session.busy:
                self._open.pop(visitor).close()
        visited = {session.folder for session in self._open.values()}
        with suppress(OSError):
            for folder in set(self.root.iterdir()) - visited:
                with suppress(OSError):
                    if folder.stat().st_mtime < oldest:
                        shutil.rmtree(folder, ignore_errors=True)


def _user() -> str:
    """Whose process this is, so that two people on one machine have two roots."""
    return str(os.getuid()) if hasattr(os, "getuid") else "user"
