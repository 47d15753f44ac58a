"""Scenes a second on one thread, with every map: the median over batches of 64. Target: at least 400.

Run as: python benchmarks/scenes.py [--batches 15] [--batch 64] [--size 96]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main() -> None:
    """Time batches of fresh scenes, then questions and captions about the last one, and print both."""
    import numpy as np

    from workbench.images.scene_language import captions, questions
    from workbench.images.scenes import generate

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--batches", type=int, default=15, help="how many batches to time")
    parser.add_argument("--batch", type=int, default=64, help="scenes in a batch")
    parser.add_argument("--size", type=int, default=96, help="pixels a side")
    chosen = parser.parse_args()

    # The first batch also reads the photographs and digits.
    start = time.perf_counter()
    scenes = generate(range(chosen.batch), "train", chosen.size)
    first = time.perf_counter() - start
    seconds = []
    for batch in range(1, chosen.batches + 1):
        start = time.perf_counter()
        scenes = generate(range(batch * chosen.batch, (batch + 1) * chosen.batch), "train", chosen.size)
        seconds.append(time.perf_counter() - start)
    rates = [chosen.batch / second for second in seconds]
    print(f"first batch: {first:.2f} s, reading photographs and digits included")
    print(f"scenes: median {statistics.median(rates):.0f}/s, {min(rates):.0f} to {max(rates):.0f}")

    rng = np.random.default_rng(0)
    for name, talk in (("questions", questions), ("captions", captions)):
        start = time.perf_counter()
        for i in range(len(scenes)):
            talk(scenes, i, rng)
        print(f"{name}: {len(scenes) / (time.perf_counter() - start):.0f} scenes/s")


if __name__ == "__main__":
    main()
