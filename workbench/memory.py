"""The memory of this process: how the heap of the C library serves passes on a CPU, and giving it back."""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Any

TRIM, MMAP, ARENAS = -1, -3, -8
"""Names of glibc's `mallopt`: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX."""
HELD = 512 * 2**20
"""Bytes of free heap that wait for the next layer."""
LARGE = 32 * 2**20
"""Bytes from which a tensor may lie outside the heap, the most that glibc takes."""


def hold_heap() -> None:
    """Keep freed memory for the next layer instead of returning it to the system after each.

    Left alone, glibc may return the activations of every layer and ask for them again: a pass then spends
    up to a tenth of its time in page faults, more of it the more else lies on the heap, such as captured
    states. One heap for all threads, since a page's looks run on many. Nothing happens where the C library
    has no such setting; `give_back` returns what is held.
    """
    mallopt = _of_libc("mallopt")
    if mallopt is not None:
        for name, value in ((TRIM, HELD), (MMAP, LARGE), (ARENAS, 1)):
            mallopt(name, value)


def give_back() -> None:
    """Return memory that nobody uses, of models that were let go and of failed tries: heap and GPU.

    Parts of a network refer to one another, so without this they would go at some later time.
    """
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    trim = _of_libc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_libc(name: str) -> Any:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), name, None)
