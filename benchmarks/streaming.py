"""A linear reader of pooled states that arrive in batches and are gone: what it takes at its peak.

    python -m benchmarks.streaming 50000 --width 3584

gathers the sums of a ridge reader from eight tenths of the images, chooses its penalty on one and scores it
with an interval on one, and prints one JSON object. Linux only. Making the states counts in the time.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks import memory
from benchmarks.readers import CLASSES, Split, States
from probes.bootstrap import mean_score
from probes.ridge import RIDGE_PENALTIES, LabelMoments, RidgePath

BATCH = 500


@dataclass(frozen=True)
class Streamed:
    """Bytes above what was there before the first batch, seconds, and what the reader scored on test."""

    above: int
    seconds: float
    accuracy: float


def batches(states: States, split: int, n: int) -> Iterator[tuple[Split, NDArray[np.int64]]]:
    """States and labels of n images, some at a time."""
    for first in range(0, n, BATCH):
        rng = np.random.default_rng((split, first))
        labels = rng.integers(0, CLASSES, min(BATCH, n - first))
        yield states.of(0, split * 10**6 + first, labels), labels


def streamed(images: int, width: int) -> Streamed:
    """One reader in this process, which should have done nothing else."""
    states = States(width, 1)
    before, began = memory.start(), time.perf_counter()
    held_out = images // 10
    moments = LabelMoments(width, CLASSES)
    for x, y in batches(states, 0, images - 2 * held_out):
        moments.update(x, y)
    path = RidgePath(moments)
    right = np.zeros(len(RIDGE_PENALTIES))
    for x, y in batches(states, 1, held_out):
        right += (path.classes(x) == y).sum(axis=1)
    best = int(right.argmax())
    hits = np.concatenate([path.classes(x, best) == y for x, y in batches(states, 2, held_out)])
    accuracy = mean_score(hits).value
    return Streamed(memory.resident("VmHWM") - before, time.perf_counter() - began, accuracy)


def in_own_process(images: int, width: int) -> Streamed:
    """As `streamed`, in a fresh process."""
    words = [str(images), "--width", str(width)]
    return Streamed(**json.loads(memory.last_line_of("benchmarks.streaming", words)))


def main(argv: Sequence[str] | None = None) -> int:
    """Stream so many images and print what it took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", type=int)
    parser.add_argument("--width", type=int, default=3584)
    given = parser.parse_args(argv)
    if given.images < 10:
        parser.error("images must be at least 10")
    print(json.dumps(asdict(streamed(given.images, given.width))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
