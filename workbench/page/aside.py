"""Work that needs no model and takes long, in a process of its own: it can be ended, and holds nobody up.

A layout compiles itself for seconds and runs for more. In a thread it could not be stopped, and its compiled
code is not safe to be entered twice at once.
"""

from __future__ import annotations

import atexit
import multiprocessing
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from workbench.errors import Cancelled
from workbench.models.protocol import never

POLITE = 5
"""Added to the niceness of the process: the page goes first."""


class Aside:
    """One process, begun when first asked and kept, since what it compiled is worth keeping."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: Any = None
        self._pipe: Any = None
        atexit.register(self.close)

    def call(
        self,
        function: Callable[..., Any],
        *values: Any,
        stop: Callable[[], bool] = never,
        every: float = 0.1,
        **named: Any,
    ) -> Any:
        """What a function of some module returns or raises; one call at a time, the others wait.

        Raises:
            Cancelled: once ``stop`` says so; the process is ended with what it was doing.
            RuntimeError: the process ended by itself, as where memory is short.
        """
        while not self._turn.acquire(timeout=every):
            if stop():
                raise Cancelled
        try:
            self._begin()
            self._pipe.send((function, values, named))
            while not self._pipe.poll(every):
                if stop():
                    self.close()
                    raise Cancelled
            returned, value = self._pipe.recv()
        except (EOFError, OSError) as error:
            self.close()
            raise RuntimeError("the process beside the page ended") from error
        finally:
            self._turn.release()
        if returned:
            return value
        raise value

    def close(self) -> None:
        """End the process; the next call begins another."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
        self._process = None

    def _begin(self) -> None:
        if self._process is not None and self._process.is_alive():
            return
        self.close()
        # Not forked: a copy of a process with threads may wait for ever for a lock that one of them held.
        begin = multiprocessing.get_context("spawn")
        self._pipe, other = begin.Pipe()
        self._process = begin.Process(target=_serve, args=(other,), name="afterimage-aside", daemon=True)
        self._process.start()
        other.close()


def _serve(pipe: Connection) -> None:
    """Call what is asked for until nobody is there to ask."""
    import os
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the page ends this process
    with suppress(AttributeError, OSError):
        os.nice(POLITE)
    while True:
        try:
            function, values, named = pipe.recv()
        except EOFError:
            return
        try:
            answer = (True, function(*values, **named))
        except Exception as error:
            answer = (False, error)
        pipe.send(answer)
