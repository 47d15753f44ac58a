"""The results used last, kept in memory for a while so that a click need not read them from disk again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.runs.result import Result

MOST = 256_000_000
"""Bytes that all visits together may hold."""


class Recent:
    """Results by visit and id; beyond ``most`` bytes those not used for longest go, the newest never."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._held: OrderedDict[tuple[str, str], tuple[int, Result]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, visit: str, key: str) -> Result | None:
        """The result, now the last one used; None where it is not held."""
        with self._lock:
            if (visit, key) not in self._held:
                return None
            self._held.move_to_end((visit, key))
            return self._held[visit, key][1]

    def put(self, visit: str, key: str, result: Result) -> None:
        """Hold a result. Its arrays and images cannot be written to from now on: many readers share them."""
        size = result.size
        for array in (*result.arrays.values(), *result.images.values()):
            array.flags.writeable = False
        with self._lock:
            self._held.pop((visit, key), None)
            self._held[visit, key] = size, result
            total = sum(held for held, _ in self._held.values())
            while total > self.most and len(self._held) > 1:
                total -= self._held.popitem(last=False)[1][0]

    def drop(self, visit: str) -> None:
        """Let go of everything of a visit."""
        with self._lock:
            for name in [name for name in self._held if name[0] == visit]:
                del self._held[name]
