"""How long a piece of work has to go, guessed from how quick it was so far."""

from __future__ import annotations

import time


class Pace:
    """Seconds left, from the share of the work that was done since the first share above 0 that was told.

    Work that goes on where a kill ended it begins with a share that took no time.
    """

    def __init__(self) -> None:
        self.began = time.monotonic()
        self._first: tuple[float, float] | None = None

    def left(self, done: float) -> float | None:
        """Seconds to go at ``done`` 0 … 1; None where too little is done to tell."""
        now = time.monotonic()
        if self._first is None and done > 0:
            self._first = (done, now) if done > FRESH else (0.0, self.began)
        if self._first is None:
            return None
        share, began = self._first
        spent = now - began
        return spent * (1 - done) / (done - share) if done > share + 0.02 and spent > 2 else None


FRESH = 0.1
"""A first share beyond this is one that an earlier run did."""
