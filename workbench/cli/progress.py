"""How far a piece of work is, on a line of stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from workbench.pace import Pace


def opening_progress() -> Callable[[str, float], None]:
    """The same line for an opening that takes its time."""
    line = progress(patience=1.0)
    return lambda words, share: line(share, words)


def progress(patience: float = 0.0) -> Callable[[float, str], None]:
    """A line on stderr that is written over; where it cannot be, a line for each tenth.

    Of what takes less than `patience` seconds nothing is said.
    """
    line = sys.stderr.isatty()
    tenth = [-1]
    begin = time.monotonic() + patience
    pace = Pace()

    def say(fraction: float, text: str) -> None:
        left = pace.left(fraction)
        text += f", {_duration(left)} left" if left is not None and left > 10 else ""
        if time.monotonic() < begin:
            return
        if line:
            print(f"\r\033[K{fraction:4.0%}  {text}", end="", file=sys.stderr, flush=True)
            if fraction >= 1:
                print(file=sys.stderr)
        elif int(10 * fraction) > tenth[0]:
            tenth[0] = int(10 * fraction)
            print(f"{fraction:4.0%}  {text}", file=sys.stderr, flush=True)

    return say


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
