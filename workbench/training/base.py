"""Train pocket-bagel from nothing, stage by stage (`train base`), and measure it (`train measure`)."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from workbench.errors import Refusal
from workbench.training import state
from workbench.training.autoencoder import AutoencoderStage
from workbench.training.drawing import DrawingStage
from workbench.training.interleaving import InterleavingStage, start_experts
from workbench.training.kit import Kit, build, forget_language, further
from workbench.training.loop import Schedule, Stage, train
from workbench.training.publish import publish
from workbench.training.seeing import Teacher, TeacherStage, TowerStage
from workbench.training.understanding import UnderstandingStage

SCHEDULES = {
    "autoencoder": Schedule(steps=1300, batch=32, decay=0.5),
    "teacher": Schedule(steps=900, batch=64, other_lr=3e-3, warmup=30, decay=0.5),
    "tower": Schedule(steps=1100, batch=24, warmup=50, decay=0.5),
    "understanding": Schedule(steps=1100, batch=24, warmup=50),
    "interleaving": Schedule(steps=1330, batch=16, matrix_lr=0.015, decay=0.5),
}
"""In order. The embedded weights had these steps, but were resumed while data and rates still changed."""

FURTHER = Schedule(steps=1900, batch=24, matrix_lr=0.012, other_lr=1e-3, warmup=40, decay=0.9)
"""What `--start` trains: reading above all, with one pass in FURTHER_RESTORES that draws."""
FURTHER_RESTORES = 5
REDRAWN = Schedule(steps=230, batch=16, matrix_lr=0.007, other_lr=7e-4, warmup=10, decay=0.95)
"""What `--start` trains with `--drawing`."""
ANEW = Schedule(steps=400, batch=8, matrix_lr=0.01, other_lr=1e-3, warmup=60)
"""What `--start` trains with `--anew`."""
MOST_THREADS = 1024
ANSWERING = ("understanding", "interleaving")
"""The stages in which the model learns to answer: what --keep counts the steps of."""


def stages(
    kit: Kit, seed: int, scale: float, *, started: bool = False, drawing: bool = False, anew: bool = False
) -> Iterator[Stage]:
    """Yield the stages in order, each built when the ones before it are done.

    `started`: the kit holds a published checkpoint, which is trained further; `drawing`: in drawing alone;
    `anew`: its language model has forgotten everything, and learns to answer again.
    """
    if anew:
        yield UnderstandingStage(kit, ANEW.scaled(scale), seed)
        return
    if drawing:
        yield DrawingStage(kit, REDRAWN.scaled(scale), seed)
        return
    if started:
        yield InterleavingStage(kit, FURTHER.scaled(scale), seed, restore_every=FURTHER_RESTORES)
        return
    plan = {name: schedule.scaled(scale) for name, schedule in SCHEDULES.items()}
    yield AutoencoderStage(kit.autoencoder, plan["autoencoder"], seed)
    teacher = Teacher()
    yield TeacherStage(teacher, plan["teacher"], seed)
    yield TowerStage(kit, teacher, plan["tower"], seed)
    yield UnderstandingStage(kit, plan["understanding"], seed)
    start_experts(kit.network)
    yield InterleavingStage(kit, plan["interleaving"], seed)


def keeper(kit: Kit, folder: Path, every: int, before: int) -> Callable[[int], None]:
    """What publishes a checkpoint into `folder` every `every` steps, `before` of them in earlier stages."""

    def after(step: int) -> None:
        if (before + step) % every == 0:
            publish(kit, folder / f"step-{before + step:04d}")

    return after


def asked_of(args: argparse.Namespace) -> dict[str, Any]:
    """What decides where a run ends, by flag; checkpoints that it starts from by their weights' sha256.

    Raises Refusal where a folder to start from holds no weights.
    """
    found = []
    for folder in args.start or ():
        try:
            with (folder / "ema.safetensors").open("rb") as file:
                found.append(hashlib.file_digest(file, "sha256").hexdigest()[:12])
        except OSError as error:
            raise Refusal(
                f"--start names published checkpoints; ema.safetensors in {folder} cannot be read "
                f"({error.strerror})."
            ) from None
    return {
        "--seed": args.seed,
        "--scale": args.scale,
        "--start": f"from weights {', '.join(found)}" if found else "from nothing",
        "--drawing": "given" if args.drawing else "left out",
        "--anew": "given" if args.anew else "left out",
    }


def parser() -> argparse.ArgumentParser:
    """Arguments of `train`."""
    top = argparse.ArgumentParser(prog="python -m workbench train", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True)
    base = verbs.add_parser("base", help="train pocket-bagel; run again after a kill and it goes on")
    base.add_argument("--out", type=Path, default=Path("training/base"), help="folder for states and logs")
    base.add_argument(
        "--publish", type=Path, help="folder for the finished checkpoint (default: OUT/pocket-bagel)"
    )
    base.add_argument(
        "--start",
        type=Path,
        nargs="+",
        metavar="FOLDER",
        help="train a published checkpoint further, or the mean of several, with other questions "
        "(--seed) and into another --out",
    )
    base.add_argument(
        "--drawing",
        action="store_true",
        help="with --start: train what draws and nothing else, so that whatever is said before a drawing "
        "stays as it is",
    )
    base.add_argument(
        "--anew",
        action="store_true",
        help="with --start: forget the language model, and have it learn to answer anew over the tower: with "
        "--keep a short series of checkpoints",
    )
    base.add_argument(
        "--keep",
        type=int,
        metavar="N",
        help="publish a checkpoint before the stage understanding and every N steps from there on, as "
        "OUT/series/step-NNNN; assets/recipes/sacrifice.yaml draws what changes along it",
    )
    base.add_argument("--until", choices=list(SCHEDULES), help="stop after this stage")
    base.add_argument("--seed", type=int, default=0)
    base.add_argument("--scale", type=float, default=1.0, help="multiplies the steps of every stage")
    base.add_argument("--threads", type=int, default=None, help="CPU threads (default: torch's choice)")
    base.add_argument("--device", default="cpu", help="cpu or cuda")
    measure = verbs.add_parser(
        "measure", help="measure a checkpoint on held-out scenes and write its model card"
    )
    measure.add_argument("folder", type=Path, nargs="?", default=Path("assets/checkpoints/pocket-bagel"))
    measure.add_argument("--scenes", type=int, default=600, help="test scenes for answers")
    measure.add_argument("--captioned", type=int, default=3000, help="test scenes for captions")
    measure.add_argument("--restored", type=int, default=400, help="test scenes for restoration")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run `train base` or `train measure`; returns the exit status."""
    args = parser().parse_args(argv)
    if args.verb == "base":
        run(args)
    else:
        from workbench.training.card import write_card

        write_card(args.folder, scenes=args.scenes, restored=args.restored, captioned=args.captioned)
    return 0


def run(args: argparse.Namespace) -> None:
    """Train the stages in order, up to `--until`, going on from what `--out` holds, and publish.

    Raises Refusal for a scale that is not above 0, --keep or --threads under 1, a seed below 0, --drawing or
    --anew without --start or with one another, and where the folder holds a run that was begun with another
    seed, scale or way, or another run is at work in it.
    """
    if args.keep is not None and args.keep < 1:
        raise Refusal(f"--keep counts steps, at least 1; it is {args.keep}.")
    if (args.drawing or args.anew) and not args.start:
        raise Refusal("--drawing and --anew train a checkpoint further: name it with --start.")
    if args.drawing and args.anew:
        raise Refusal("--anew forgets what --drawing would leave as it is: give one of them.")
    if not 0 < args.scale < math.inf:
        raise Refusal(f"--scale must be a number above 0; it is {args.scale:g}.")
    if args.threads is not None and not 1 <= args.threads <= MOST_THREADS:
        raise Refusal(f"--threads is a number from 1 to {MOST_THREADS:,}; it is {args.threads}.")
    if not 0 <= args.seed < 2**31:
        raise Refusal(f"--seed is a whole number from 0 to {2**31 - 1:,}; it is {args.seed}.")
    asked = asked_of(args)
    with _held(args.out):
        state.refuse_another(asked, args.out)
        _go_on(args, asked)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Make the folder and keep others out meanwhile: two runs in it would overwrite each other's states."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise Refusal(f"Nothing can be kept in {folder} ({error.strerror}). Give another --out.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refusal(
                f"Another run is training in {folder}. Wait for it, or give another --out."
            ) from None
        yield


def _go_on(args: argparse.Namespace, asked: Mapping[str, Any]) -> None:
    """Train the stages, going on from what the folder holds, and publish."""
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.set_default_device(args.device)
    kit = further(args.start, args.out) if args.start else build(args.out, seed=args.seed)
    if args.anew:
        forget_language(kit, args.out, args.seed)

    def say(line: str) -> None:
        print(line, flush=True)

    state.keep_asked(asked, args.out)
    before = 0
    how = {"started": bool(args.start), "drawing": args.drawing, "anew": args.anew}
    for stage in stages(kit, args.seed, args.scale, **how):
        answers = stage.name in ANSWERING
        after = keeper(kit, args.out / "series", args.keep, before) if args.keep and answers else None
        if after and not before:
            after(0)
        train(stage, args.out, say=say, after=after)
        before += stage.schedule.steps if answers else 0
        if stage.name == args.until:
            say(f"stopped after {stage.name}")
            return
    target = args.publish or args.out / "pocket-bagel"
    publish(kit, target)
    say(f"written to {target}; measure it with: python -m workbench train measure {target}")
