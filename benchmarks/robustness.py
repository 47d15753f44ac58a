"""How many images a second the robustness study asks about, against a plain loop of `model.answer()`.

    python -m benchmarks.robustness                  # the embedded model, direct answers
    python -m benchmarks.robustness --images 16 --each 3

The loop is what one writes first: for each image and each damage of it, for each question, prepare and
answer. The study asks the same questions about the same images, in batches and teacher-forced, the clean
images once; its time holds everything: reading, damaging, putting answers down, intervals. Rounds
alternate, so that a machine that slows down does so for both. Judged is the median of the rounds' ratios,
which shall be at least 5, and that the study chooses the answer that the loop says.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Any

from workbench.memory import hold_heap
from workbench.panels.robustness.config import RobustnessConfig

GOAL = 5.0
"""Times as many images a second as the loop, at least."""
AGREE = 0.99
"""Share of answers that must be the same: where a candidate and greedy words differ, both are the model's."""


@dataclass(frozen=True)
class Asked:
    """How long one way took, and what it said: the answer to each question in each condition."""

    seconds: float
    said: dict[tuple[str, float, int], str]


def study(model: Any, config: RobustnessConfig) -> Asked:
    """The robustness study, from nothing."""
    from workbench.panels.robustness.study import run

    kept = os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        try:
            started = time.perf_counter()
            result = run(config, model)
            seconds = time.perf_counter() - started
        finally:
            if kept is None:
                del os.environ["XDG_CACHE_HOME"]
            else:
                os.environ["XDG_CACHE_HOME"] = kept
    items = result.tables["items"].to_dict("records")
    return Asked(
        seconds, {(row["corruption"], row["severity"], row["question"]): row["said"] for row in items}
    )


def loop(model: Any, config: RobustnessConfig) -> Asked:
    """One image, one damage, one question at a time."""
    from workbench.datasets import open_collection
    from workbench.datasets.asking import closed, some_of
    from workbench.images.corruptions import corrupt
    from workbench.panels.specimen import CLEAN

    said: dict[tuple[str, float, int], str] = {}
    started = time.perf_counter()
    number = 0
    for sample in open_collection(config.data).read("test", 0, config.n_images):
        asked = some_of(sample, config.each, config.seed, closed)  # type: ignore[arg-type]
        for name in (CLEAN, *config.corruptions):
            for severity in config.severities if name != CLEAN else (0.0,):
                pixels = sample.pixels  # type: ignore[union-attr]
                if name != CLEAN:
                    pixels = corrupt(pixels, name, severity, seed=config.seed + sample.seed)  # type: ignore[union-attr]
                for k, question in enumerate(asked):
                    (answer,) = model.answer(model.prepare([pixels], question.text))
                    said[name, severity, number + k] = answer.text
        number += len(asked)
    return Asked(time.perf_counter() - started, said)


def main(words: list[str] | None = None) -> int:
    """Measure, print a table, and say whether the goal is met: 0, or 1 where it is not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.robustness", description=__doc__)
    parser.add_argument("--model", default="pocket-bagel")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--each", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of the CPU [2]")
    parser.add_argument("--corruptions", nargs="+", default=["gaussian_noise", "dark_illumination"])
    options = parser.parse_args(words)
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    config = RobustnessConfig(
        n_images=options.images, each=options.each, corruptions=tuple(options.corruptions), resamples=1000
    )
    model = opened(options.model, options.threads)
    pairs = []
    for turn in range(options.rounds):
        ways = (study, loop) if turn % 2 == 0 else (loop, study)
        found = {way: way(model, config) for way in ways}
        pairs.append((found[study], found[loop]))
    images = options.images * (1 + len(config.corruptions) * len(config.severities))
    ratio = statistics.median(there.seconds / here.seconds for here, there in pairs)
    rates = [statistics.median(images / way.seconds for way in side) for side in zip(*pairs, strict=True)]
    here, there = pairs[0]
    same = sum(here.said[key] == there.said[key] for key in there.said) / len(there.said)
    print(f"{images} images (clean and damaged), {len(there.said)} answers; {options.rounds} rounds\n")
    print("| way | images a second ↑ | answers a second ↑ |\n|---|---|---|")
    for name, rate in zip(("study", "loop of answer()"), rates, strict=True):
        print(f"| {name} | {rate:.1f} | {rate * len(there.said) / images:.1f} |")
    met = ratio >= GOAL and same >= AGREE
    print(f"\nstudy over loop: {ratio:.1f} times (at least {GOAL:g}){'' if ratio >= GOAL else ', BELOW'}")
    print(f"same answers: {same:.1%} (at least {AGREE:.0%}){'' if same >= AGREE else ', BELOW'}")
    return 0 if met else 1


def opened(name: str, threads: int) -> Any:
    """The model, computing with so many threads."""
    import torch

    from workbench import models

    torch.set_num_threads(threads)
    hold_heap()
    return models.open(name)


if __name__ == "__main__":
    sys.exit(main())
