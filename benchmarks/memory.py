"""The peak of the resident set, which the kernel counts (Linux only), of a process of its own."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def resident(field: str) -> int:
    """Bytes: VmRSS, what is resident now, or VmHWM, the most that was since `start`."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    if not found:
        raise SystemExit(f"/proc/self/status has no {field}: memory on a CPU is measured on Linux only.")
    return int(found[1]) * 1024


def start() -> int:
    """Let the peak start again from what is resident now, and say how much that is."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def last_line_of(module: str, words: Sequence[str]) -> str:
    """What `python -m module words` says last, run in a fresh process. Raises SystemExit where that fails."""
    # Whatever is larger than this goes back to the system when it is freed, so that the peak is what is used.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(2**16), "MALLOC_TRIM_THRESHOLD_": str(2**16)}
    line = [sys.executable, "-m", module, *words]
    done = subprocess.run(line, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(line[1:])} ended with exit status {done.returncode}")
    return done.stdout.splitlines()[-1]
