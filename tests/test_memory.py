"""The heap of the process: what it keeps for the next layer, and what it gives back."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from workbench import memory

# Layers whose activations come and go, with and without a hold: page faults of a second pass, and how much
# less is resident once it is given back.
PASSES = """
import ctypes, json, resource, sys
from pathlib import Path
from workbench.memory import give_back, hold_heap

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def one_pass():
    for layer in range(20):
        blocks = [libc.malloc(2**24) for _ in range(3)]
        for block in blocks:
            ctypes.memset(block, 1, 2**24)
        for block in blocks:
            libc.free(block)

if sys.argv[1] == "held":
    hold_heap()
one_pass()
before = faults()
one_pass()
counted, held = faults() - before, resident()
give_back()
print(json.dumps([counted, held - resident()]))
"""


@pytest.mark.skipif(memory._of_libc("mallopt") is None, reason="the C library is not glibc")
def test_what_a_layer_frees_serves_the_next_and_goes_back_when_asked() -> None:
    each = 3 * 2**24

    def of(how: str) -> tuple[int, int]:
        line = [sys.executable, "-c", PASSES, how]
        counted, returned = json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout)
        return counted, returned

    left_alone, _ = of("alone")
    counted, returned = of("held")
    assert counted < left_alone / 100
    assert returned > 0.9 * each
