"""The one lane in which the model works, and a way to watch that work without being held up by it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from workbench.errors import Cancelled
from workbench.models.protocol import never
from workbench.page.session import Session

GPU = "gpu"
"""The concurrency id of every handler that runs the model; its limit is 1."""

_LANE = threading.RLock()
_END = object()

Say = Callable[[Any], None]
Stop = Callable[[], bool]


@contextmanager
def lane(stop: Stop = never) -> Iterator[None]:
    """Have the lane while the body runs; whoever has it already has it once more.

    Raises Cancelled where ``stop`` says so before it is free.
    """
    while not _LANE.acquire(timeout=0.05):
        if stop():
            raise Cancelled
    try:
        yield
    finally:
        _LANE.release()


def follow(
    session: Session, work: Callable[[Say, Stop], None], *, study: str = "", every: float = 0.1
) -> Iterator[Any]:
    """Run ``work(say, stop)`` beside the caller; yield what it says, or None after ``every`` silent seconds.

    ``study`` is what the session knows the work by.

    The work runs in a thread of its own, so that a stop is seen between two things it says, and the lane is
    freed by the work itself even when the handler that watched it was cancelled. Raises what the work raises,
    and Cancelled as soon as the study was stopped, without waiting for the work to notice.
    """
    said: queue.SimpleQueue[Any] = queue.SimpleQueue()
    failed: list[BaseException] = []

    with session.working(study) as flag:

        def run() -> None:
            try:
                with lane(flag.is_set):
                    work(said.put, flag.is_set)
            except BaseException as error:
                failed.append(error)
            finally:
                said.put(_END)

        threading.Thread(target=run, name="afterimage-work", daemon=True).start()
        while True:
            if flag.is_set():
                raise Cancelled
            try:
                item = said.get(timeout=every)
            except queue.Empty:
                yield None
                continue
            if item is _END:
                break
            yield item
    if failed:
        raise failed.pop()  # kept, its traceback would keep the model that it names
    if session.closed:
        raise Cancelled
