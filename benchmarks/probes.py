"""What measuring takes: linear readers of every stage, a reader of a stream, the first picture of tokens.

readers    logistic regression with a path of five penalties, ten shuffled controls and intervals, at 29
           stages of 2,000 training images (500 validate, 2,000 test) with 3,584 numbers each:
             ours       probes.linear.logistic_stages
             loop       scikit-learn with one thread, stage after stage, warm starts along the path
             processes  the loop's stages in a process for each core
             naive      scikit-learn with the threads it takes by default, every fit from the start
           Ours reads all stages; the others would take most of an hour, so all four are compared on some of
           the stages (--compared), in turn, and a ratio is that of seconds on those stages alone.
stream     a ridge reader of 5,000 and of 50,000 images that arrive in batches, each in a process of its own:
           its peak above what was there before
picture    5,000 tokens on a plane: PCA, the first picture, and UMAP

Times are medians of rounds. The states are synthetic and seeded. Run it from the repository, on a machine
that does nothing else:

    python -m benchmarks.probes

It ends with exit status 1 where a goal is missed: on a CPU at least 1.8 times as fast as the loop, on a GPU
20 times; accuracies on average within 0.2 points of the loop's where that has settled (its tolerance a
hundredth of the default, not timed); the peak of ten times the images at most 1.1 times as high; the first
picture within half a second.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from benchmarks.readers import Found, Labels, Size, Stage, States, Way, settled, ways
from benchmarks.streaming import in_own_process
from probes.projection import project
from probes.workers import cores

PARTS = ("readers", "stream", "picture")
FASTER = {"cpu": 1.8, "cuda": 20.0}
"""The loop's seconds over ours."""
APART = 0.002
"""Between the mean accuracies over the compared stages, 0..1."""
GROWTH, FIRST_PICTURE = 1.1, 0.5
MIB = 2**20

STAGES, SIZE, IMAGES, TOKENS = 29, Size(2000, 500, 2000, 3584), (5_000, 50_000), 5_000
QUICK_STAGES, QUICK_SIZE, QUICK_IMAGES, QUICK_TOKENS = 3, Size(60, 30, 40, 96), (200, 2000), 60


def spent(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def rounds(
    taken: dict[str, Way], stages: list[Stage], labels: Labels, count: int
) -> tuple[dict[str, list[float]], dict[str, list[Found]]]:
    """Seconds of each way in `count` rounds of all of them, each beginning with another; what each says."""
    names = list(taken)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    said: dict[str, list[Found]] = {}
    for k in range(count):
        first = k % len(names)
        for name in [*names[first:], *names[:first]]:
            begun = time.perf_counter()
            said[name] = taken[name](stages, labels)
            seconds[name].append(time.perf_counter() - begun)
    return seconds, said


def readers(
    size: Size, stages: int, compared: int, count: int, device: str, chosen: Sequence[str]
) -> Iterator[str]:
    """Time the ways, print them, and yield the goals that are missed."""
    states = States(size.width, stages)
    some = sorted({int(i) for i in np.linspace(0, stages - 1, compared).round()})
    taken = {name: way for name, way in ways(device).items() if name in chosen}
    for way in taken.values():  # all have run once, on little, before the first round
        way(*States(32, 2).all_of(Size(40, 20, 20, 32), [0, 1]))
    subject = states.all_of(size, some)
    seconds, said = rounds(taken, *subject, count)
    truth = settled(*subject)
    loops = seconds["loop"]
    accuracy = {name: float(np.mean([f.accuracy for f in found])) for name, found in said.items()}
    named = ", ".join(map(str, some))
    print(
        f"{size.train:,} + {size.validation:,} + {size.test:,} images, width {size.width:,}, on {device}, "
        f"cores: {cores()}, rounds: {count}\n\n"
        f"| way | seconds for stages {named}, median (range) | loop's × faster | accuracy | control |\n"
        "|---|---|---|---|---|"
    )
    for name, took in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(loops, took, strict=True))
        print(
            f"| {name} | {statistics.median(took):.2f} ({min(took):.2f} to {max(took):.2f}) | {ratio:.2f} | "
            f"{100 * accuracy[name]:.2f} % | {100 * np.mean([f.control for f in said[name]]):.2f} % |"
        )
        if name == "ours" and ratio < (least := FASTER["cpu" if device == "cpu" else "cuda"]):
            yield f"ours is {ratio:.2f} times as fast as the loop, BELOW {least:g}"
    pairs = list(zip(said["ours"], truth, strict=True))
    if (apart := abs(float(np.mean([a.accuracy - b.accuracy for a, b in pairs])))) > APART:
        yield f"ours is {100 * apart:.2f} points from the settled loop's accuracy, ABOVE {100 * APART:g}"
    farthest = max(abs(a.accuracy - b.accuracy) for a, b in pairs)
    agreed = sum(a.inverse_penalty == b.inverse_penalty for a, b in pairs)
    print(
        f"\nthe loop, settled: {100 * np.mean([f.accuracy for f in truth]):.2f} %; farthest apart at one "
        f"stage: {100 * farthest:.2f} points; the same penalty chosen at {agreed} of {len(pairs)}",
        flush=True,
    )
    everything = states.all_of(size, range(stages))
    took = [spent(lambda: taken["ours"](*everything)) for _ in range(count)]
    print(
        f"ours, all {stages} stages: {statistics.median(took):.1f} s ({min(took):.1f} to {max(took):.1f})\n"
    )


def stream(images: Sequence[int], width: int) -> Iterator[str]:
    """Measure the stream's reader at each number of images, print it, and yield the goal if missed."""
    print(
        "| images streamed | MiB at the peak | all states would be | seconds | accuracy |\n"
        "|---|---|---|---|---|"
    )
    peaks = []
    for n in images:
        found = in_own_process(n, width)
        peaks.append(found.above)
        print(
            f"| {n:,} | {found.above / MIB:,.0f} | {4 * n * width / MIB:,.0f} | {found.seconds:.1f} | "
            f"{100 * found.accuracy:.2f} % |",
            flush=True,
        )
    if (ratio := peaks[-1] / peaks[0]) > GROWTH:
        yield f"at {images[-1]:,} images the peak is {ratio:.2f} times that at {images[0]:,}, ABOVE {GROWTH}"
    print()


def picture(tokens: int, width: int, count: int) -> Iterator[str]:
    """Time pictures of tokens after one of a few, print it, and yield the goal if missed."""
    states = States(width, 1)
    x = states.of(0, 0, states.labels(0, tokens))
    for method in ("pca", "umap"):
        project(x[:50], method)  # imports and compiles
        took = [spent(partial(project, x, method)) for _ in range(count)]
        middle = statistics.median(took)
        print(
            f"{method} of {tokens:,} tokens: {middle:.2f} s ({min(took):.2f} to {max(took):.2f})", flush=True
        )
        if method == "pca" and middle > FIRST_PICTURE:
            yield f"the first picture takes {middle:.2f} s, ABOVE {FIRST_PICTURE} s"
    print()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print tables and the verdict, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="[all]")
    parser.add_argument(
        "--ways",
        nargs="+",
        choices=list(ways("cpu")),
        default=list(ways("cpu")),
        help="beside ours and the loop, which are always taken [all]",
    )
    parser.add_argument("--compared", type=int, default=2, help="stages on which all ways are timed [2]")
    parser.add_argument("--rounds", type=int, default=3, help="of all ways in turn [3]")
    parser.add_argument("--device", default="cpu", help="for ours: cpu, cuda ... [cpu]")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: shows that it runs, judges nothing"
    )
    given = parser.parse_args(argv)
    if min(given.rounds, given.compared) < 1:
        parser.error("--rounds and --compared must be at least 1")
    quick = given.quick
    size, stages = (QUICK_SIZE, QUICK_STAGES) if quick else (SIZE, STAGES)
    missed: list[str] = []
    if "readers" in given.parts:
        chosen = {"ours", "loop", *given.ways}
        missed += readers(size, stages, min(given.compared, stages), given.rounds, given.device, chosen)
    if "stream" in given.parts:
        missed += stream(QUICK_IMAGES if quick else IMAGES, size.width)
    if "picture" in given.parts:
        missed += picture(QUICK_TOKENS if quick else TOKENS, size.width, given.rounds)
    if quick:
        print("sizes are too small to judge")
        return 0
    print("\n".join(missed) or "all goals are met")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
