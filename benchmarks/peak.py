"""How much memory one way of reading a pass needs at its peak, measured in a process of its own.

    python -m benchmarks.peak small 1200 capture

prints one JSON object. On a CPU the peak is that of the resident set, which the kernel counts (Linux only);
on a GPU that of the allocator on the device. Both stand above what is there with the model loaded, warmed up
on a small prompt, and the prompt ready.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

from benchmarks import memory
from benchmarks.subject import GRIDS, SIZES, open_random, subject
from benchmarks.ways import WAYS


@dataclass(frozen=True)
class Peak:
    """Bytes: taken before the pass, at most during it above that, and of those what the way returns.

    On a GPU nothing of what is returned counts: it lies in the host's memory.
    """

    loaded: int
    above: int
    kept: int

    @property
    def passing(self) -> int:
        """What the pass needs besides what is kept of it, which was asked for."""
        return self.above - self.kept


def measured(size: str, visual: int, way: str, device: str, threads: int) -> Peak:
    """One pass in this process, which should have done nothing else. Raises SystemExit where that fails."""
    torch.set_num_threads(threads)
    model = open_random(SIZES[size], device, torch.float32 if device == "cpu" else torch.bfloat16)
    WAYS[way](subject(model, min(GRIDS)))
    ready = subject(model, visual)
    if device != "cpu":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        loaded = torch.cuda.memory_allocated()
        WAYS[way](ready)
        return Peak(loaded, torch.cuda.max_memory_allocated() - loaded, 0)
    loaded = memory.start()
    kept = WAYS[way](ready)
    return Peak(loaded, memory.resident("VmHWM") - loaded, sum(array.nbytes for array in kept))


def peak(size: str, visual: int, way: str, device: str, threads: int) -> Peak:
    """As `measured`, in a fresh process."""
    words = [size, str(visual), way, "--device", device, "--threads", str(threads)]
    return Peak(**json.loads(memory.last_line_of("benchmarks.peak", words)))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure one way and print what it took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("visual", type=int, choices=GRIDS, help="visual tokens")
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(argv)
    print(json.dumps(asdict(measured(given.size, given.visual, given.way, given.device, given.threads))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
