"""What each method of attribution costs beside one pass, and what batches give to occlusion.

    python -m benchmarks.attribution                     # the embedded model
    python -m benchmarks.attribution --model FOLDER --device cuda

For each method the seconds of its maps over those of one pass that says the answer (prepared anew, as any
image has to be), and the peak of memory above the loaded model over that pass's, each method in a process
of its own. Run it on a machine that does nothing else, with no more threads than free cores. Then
occlusion, image by image and in batches, in alternate rounds: judged is the median of the rounds' ratios,
which shall be at least 3, and that both find the same map.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import memory
from workbench.panels.attribution.config import METHODS, AttributionConfig

GOAL = 3.0
"""Times as fast in batches as one image at a time, at least."""
SAME = 1e-3
"""How far the two maps may differ, as a share of the largest value."""
PASS = "one pass"
MIB = 2**20


def case(model: Any, scene: int, batch: int) -> Any:
    """A scene's own question and the model's answer to it."""
    from workbench.panels.attribution.case import Case
    from workbench.panels.attribution.target import spoken
    from workbench.panels.specimen import find

    specimen = find(f"scene:{scene}")
    image, question = specimen.picture.pixels, specimen.question
    said = spoken(model, model.prepare([image], question))
    return Case(model, image, said, AttributionConfig(question=question, batch=batch))


def work(name: str, subject: Any) -> Callable[[], Any]:
    """What is measured: a method's maps, or one pass."""
    if name == PASS:
        return lambda: subject.of(subject.image).rows([subject.image])
    from workbench.panels.attribution.methods import METHODS as KNOWN

    return lambda: KNOWN[name].explain(subject.of(subject.image))  # type: ignore[index]


def spent(doing: Callable[[], Any], device: str) -> tuple[float, Any]:
    """Wall seconds, and what came of it."""
    import torch

    started = time.perf_counter()
    found = doing()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - started, found


def measured(options: argparse.Namespace) -> dict[str, float]:
    """Seconds and peak bytes of one piece of work in this process, warmed up by one pass."""
    import torch

    from workbench.errors import Refusal

    subject = case(opened(options), options.scene, options.batch)
    work(PASS, subject)()
    on_gpu = options.device.startswith("cuda")
    if on_gpu:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        import captum.attr  # noqa: F401  # what it takes to load is not the method's

        before = memory.start()
    try:
        seconds, _ = spent(work(options.only, subject), options.device)
    except Refusal:
        return {"seconds": float("nan"), "bytes": float("nan")}
    peak = torch.cuda.max_memory_allocated() if on_gpu else memory.resident("VmHWM")
    return {"seconds": seconds, "bytes": float(peak - before)}


def occluded(subject: Any, batch: int, device: str) -> tuple[float, np.ndarray]:
    """Seconds and the map of occlusion with so many images in a pass."""
    from workbench.panels.attribution.halving import Halving

    subject.batches = Halving(batch)
    seconds, found = spent(work("occlusion", subject), device)
    return seconds, found.maps[0, 0]


def main(words: list[str] | None = None) -> int:
    """Measure, print two tables, and say whether the goal is met: 0, or 1 where it is not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attribution", description=__doc__)
    parser.add_argument("--model", default="pocket-bagel")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2, help="of the CPU [2]")
    parser.add_argument("--scene", type=int, default=10)
    parser.add_argument("--batch", type=int, default=8, help="images in a pass")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=METHODS)
    parser.add_argument("--only", default="", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    if options.only:
        print(json.dumps(measured(options)))
        return 0
    costs(options)
    return occlusion(options)


def costs(options: argparse.Namespace) -> None:
    """Each method beside one pass, as a table."""
    same = [f"--{name}={getattr(options, name)}" for name in ("model", "device", "threads", "scene", "batch")]
    found = {
        name: json.loads(memory.last_line_of("benchmarks.attribution", [*same, f"--only={name}"]))
        for name in (PASS, *options.methods)
    }
    one = found[PASS]
    print("| method | seconds | × one pass | peak MiB | × one pass |\n|---|---|---|---|---|")
    for name, cost in found.items():
        if np.isnan(cost["seconds"]):
            print(f"| {name} | does not apply | | | |")
            continue
        times, more = cost["seconds"] / one["seconds"], cost["bytes"] / max(1.0, one["bytes"])
        print(f"| {name} | {cost['seconds']:.2f} | {times:.0f} | {cost['bytes'] / MIB:.0f} | {more:.1f} |")


def occlusion(options: argparse.Namespace) -> int:
    """Occlusion in batches against one image at a time: 0 where the goal is met."""
    subject = case(opened(options), options.scene, options.batch)
    occluded(subject, options.batch, options.device)  # warm
    pairs = []
    for turn in range(options.rounds):
        order = (options.batch, 1) if turn % 2 == 0 else (1, options.batch)
        found = {batch: occluded(subject, batch, options.device) for batch in order}
        pairs.append((found[options.batch], found[1]))
    ratio = statistics.median(alone[0] / batched[0] for batched, alone in pairs)
    batched, alone = pairs[0][0][1], pairs[0][1][1]
    off = float(np.abs(batched - alone).max() / np.abs(alone).max())
    print(
        f"\nocclusion in batches of {options.batch}: {ratio:.2f} times as fast as one image at a time ",
        end="",
    )
    print(f"(at least {GOAL:g}){'' if ratio >= GOAL else ', BELOW'}; {options.rounds} rounds")
    print(f"the maps differ by {off:.1e} of the largest value{'' if off <= SAME else ', TOO MUCH'}")
    return 0 if ratio >= GOAL and off <= SAME else 1


def opened(options: argparse.Namespace) -> Any:
    """The model on its device, computing with so many threads."""
    import torch

    from workbench import models

    torch.set_num_threads(options.threads)
    return models.open(options.model, device=options.device)


if __name__ == "__main__":
    sys.exit(main())
