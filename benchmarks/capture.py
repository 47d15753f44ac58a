"""What capture costs: a pass with states and attention kept, beside the plain pass and other ways to do it.

The model is a Qwen2.5-VL with random weights, the prompt an image of 576, 1,200 or 4,096 visual tokens, a
question and an answer of 32 tokens. The ways:

plain    the forward pass alone
states   workbench.capture of the visual tokens' states at every stage, the tower's included
capture  the same and what the answer's tokens attend to at every layer, from one pass
eager    output_hidden_states and output_attentions with eager attention, of which the same is kept
hooks    a script of forward hooks that does the same for this one model
nnsight  the package of that name, states alone; left out where it is not installed

Time: all ways take turns in one process, each round beginning with another, so that a machine that slows down
slows all; a round's ratio is the way's seconds over the plain pass's, and the median of the rounds' ratios is
the result. Memory: each way in a process of its own, at its peak above the loaded model. Copying to the host
counts. Run it from the repository, on a machine that does nothing else, with no more threads than free cores:

    python -m benchmarks.capture --rounds 7 --threads 2

The heap is held as the workbench's commands hold theirs (`workbench.memory`), for all ways alike.

Both memories are told: all of it, and what is left without what was asked for, which is layers × tokens ×
width whoever gathers it. On a GPU nothing is left out, for there it is gathered beside the pass.

It ends with exit status 1 where states or capture miss a goal: at most 1.05 times the plain pass's time and,
without what was asked for, 1.10 times its memory; and at 4,096 tokens a tenth of eager's memory, what it
keeps included.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from benchmarks.peak import Peak, peak
from benchmarks.subject import GRIDS, SIZES, open_random, subject
from benchmarks.ways import WAYS, installed
from workbench.memory import hold_heap

MOST_TIME, MOST_MEMORY, EAGER_AT_LEAST = 1.05, 1.10, 10.0
"""Capture over the plain pass, in time and in memory, and eager over capture in memory."""
OURS = ("states", "capture")
"""The ways that are judged."""
JUDGED_AT = 4096
"""Visual tokens at which eager is compared."""
MIB = 2**20


@dataclass(frozen=True)
class Cost:
    """What one way took: seconds of each round, and memory."""

    seconds: list[float]
    peak: Peak


Costs = dict[str, Cost]
"""By way; the plain pass is among them."""


def spent(work: Callable[[], object], device: str) -> float:
    """Wall seconds of one call, with the device's queue empty before and after."""
    if device != "cpu":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def rounds(works: Mapping[str, Callable[[], object]], count: int, device: str) -> dict[str, list[float]]:
    """Seconds of each work in `count` rounds of all of them, each round beginning with another."""
    names = list(works)
    out: dict[str, list[float]] = {name: [] for name in names}
    for k in range(count):
        first = k % len(names)
        for name in [*names[first:], *names[:first]]:
            out[name].append(spent(works[name], device))
    return out


def slower(costs: Costs, way: str) -> float:
    """Median over rounds of the way's seconds over the plain pass's."""
    pairs = zip(costs[way].seconds, costs["plain"].seconds, strict=True)
    return statistics.median(mine / plain for mine, plain in pairs)


def larger(costs: Costs, way: str) -> float:
    """The way's peak above the model over the plain pass's, all of it."""
    return costs[way].peak.above / costs["plain"].peak.above


def larger_besides(costs: Costs, way: str) -> float:
    """The same without what the way was asked to keep."""
    return costs[way].peak.passing / costs["plain"].peak.above


def misses(visual: int, costs: Costs) -> Iterator[str]:
    """The goals that ours miss at so many visual tokens, in words."""
    where = f"at {visual:,} visual tokens"
    for way in OURS:
        if (ratio := slower(costs, way)) > MOST_TIME:
            yield f"{where} {way} takes {ratio:.3f} times the plain pass's time, ABOVE {MOST_TIME}"
        if (ratio := larger_besides(costs, way)) > MOST_MEMORY:
            yield f"{where} {way} takes {ratio:.3f} times the plain pass's memory, ABOVE {MOST_MEMORY}"
    if visual == JUDGED_AT and "eager" in costs:
        ratio = costs["eager"].peak.above / costs["capture"].peak.above
        if ratio < EAGER_AT_LEAST:
            yield f"{where} eager takes {ratio:.1f} times capture's memory, BELOW {EAGER_AT_LEAST:g}"


HEAD = """\
| tokens | way | seconds, median (range) | × plain | MiB above model | × plain | of it kept | rest × plain |
|---|---|---|---|---|---|---|---|"""


def table(visual: int, costs: Costs) -> Iterator[str]:
    """One row a way, in Markdown."""
    for way, cost in costs.items():
        times = f"{statistics.median(cost.seconds):.2f} ({min(cost.seconds):.2f} to {max(cost.seconds):.2f})"
        yield (
            f"| {visual:,} | {way} | {times} | {slower(costs, way):.3f} | {cost.peak.above / MIB:,.0f} | "
            f"{larger(costs, way):.2f} | {cost.peak.kept / MIB:,.0f} | {larger_besides(costs, way):.2f} |"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table and the verdict, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="small", help="of the model [small]")
    parser.add_argument(
        "--visual", type=int, nargs="+", choices=GRIDS, default=[576, 1200, 4096], help="visual tokens"
    )
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=installed(), help="[all that are here]")
    parser.add_argument("--rounds", type=int, default=7, help="of all ways in turn [7]")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU [1]")
    parser.add_argument(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="cpu, cuda ... [the GPU if there is one]",
    )
    given = parser.parse_args(argv)
    if given.rounds < 1:
        parser.error("--rounds must be at least 1")
    ways = list(dict.fromkeys(["plain", *OURS, *given.ways]))
    torch.set_num_threads(given.threads)
    hold_heap()

    peaks = {
        (visual, way): peak(given.size, visual, way, given.device, given.threads)
        for visual in given.visual
        for way in ways
    }
    dtype = torch.float32 if given.device == "cpu" else torch.bfloat16
    model = open_random(SIZES[given.size], given.device, dtype)
    print(
        f"{given.size}: {model.card.parameters:,} random weights in {model.card.dtype}, {given.device}, "
        f"threads: {given.threads}, rounds: {given.rounds}\n\n{HEAD}"
    )
    missed: list[str] = []
    whole: list[str] = []
    for visual in given.visual:
        ready = subject(model, visual)
        works = {way: partial(WAYS[way], ready) for way in ways}
        for work in works.values():
            work()  # all have run once before the first round
        seconds = rounds(works, given.rounds, given.device)
        costs = {way: Cost(seconds[way], peaks[visual, way]) for way in ways}
        print("\n".join(table(visual, costs)), flush=True)
        missed += misses(visual, costs)
        whole.append(f"{larger(costs, 'capture'):.2f} at {visual:,}")
    print()
    if "nnsight" not in installed():
        print("nnsight is not installed, so it is not among the ways.")
    print(
        "\n".join(missed)
        or "states and capture are within their goals, which leave out what they were asked to keep"
    )
    print(f"with what it keeps, capture takes this many times plain's memory: {', '.join(whole)} tokens")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
