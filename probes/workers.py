"""Many pieces of torch work side by side on the cores of this machine, one thread each.

Threads, not processes: torch lets go of Python's lock while it computes, so nothing is copied, started or
pickled, and what a worker raises arrives as it is. One thread each, because the threads of one linear algebra
call wait for each other more than several calls do; and so the number of cores changes no digit of a result.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Barrier, Event
from typing import TypeVar

Result = TypeVar("Result")

MOST = 16
"""Workers at most, whatever the cores: each holds what it works on."""
LOOK = 0.1
"""Seconds between two looks whether to stop."""


class Stopped(Exception):
    """The work was asked to stop."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def side_by_side(
    work: Callable[[int, Callable[[], None]], Result],
    count: int,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
    stop: Callable[[], bool] = lambda: False,
) -> list[Result]:
    """`work(i, check)` for i in 0..count-1, results in that order.

    Args:
        work: does one piece, and calls `check` now and then, which raises Stopped when that is asked for.
        count: how many pieces.
        workers: pieces at a time; as many as cores by default, 16 at most.
        progress: told in the calling thread how many are done, and of how many; what it raises ends the work.
        stop: asked in the calling thread, ten times a second.

    Raises:
        Stopped: when `stop` says so.
        Exception: the first that a piece raises; the others end at their next check.
    """
    import torch

    if count < 1:
        return []
    at_once = max(1, min(count, workers or min(cores(), MOST)))
    halt, ready, before = Event(), Barrier(at_once + 1), torch.get_num_threads()

    def alone() -> None:
        torch.get_num_threads()  # Asking settles torch's own number in this thread; now it can be changed.
        torch.set_num_threads(1)
        ready.wait()

    def check() -> None:
        if halt.is_set():
            raise Stopped

    pool = ThreadPoolExecutor(at_once, "probes", initializer=alone)
    try:
        jobs = [pool.submit(work, i, check) for i in range(count)]
        ready.wait()
        torch.set_num_threads(before)  # Threads that others start from now on have what they had.
        left: set[Future[Result]] = set(jobs)
        while left:
            if stop():
                raise Stopped
            finished, left = wait(left, LOOK, FIRST_COMPLETED)
            for job in finished:
                job.result()
            if finished:
                progress(count - len(left), count)
        return [job.result() for job in jobs]
    finally:
        halt.set()
        pool.shutdown(cancel_futures=True)
