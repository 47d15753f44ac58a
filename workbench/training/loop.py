"""The loop every stage shares: step, schedule, progress lines, checkpoints, resuming."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from workbench.training import state
from workbench.training.muon import Muon, groups

Metrics = dict[str, float]


@dataclass(frozen=True)
class Schedule:
    """Steps and learning rates: linear warm-up, flat, then linear decay over the last `decay` share.

    batch: scenes a step; matrix_lr: of Muon; other_lr: of AdamW; warmup: steps.
    """

    steps: int
    batch: int
    matrix_lr: float = 0.02
    other_lr: float = 2e-3
    warmup: int = 100
    decay: float = 0.4

    def scaled(self, by: float) -> Schedule:
        """The same schedule with `by` times the steps, at least one."""
        return replace(
            self, steps=max(1, round(self.steps * by)), warmup=max(1, round(self.warmup * min(1.0, by)))
        )

    def factor(self, step: int) -> float:
        """Share of the full learning rate at a step."""
        rise = min(1.0, (step + 1) / self.warmup)
        left = (self.steps - step) / max(1, self.steps * self.decay)
        return min(rise, 1.0, left)


class Stage(Protocol):
    """One stage of training: what it trains, and the loss of its n-th batch."""

    name: str
    schedule: Schedule

    def modules(self) -> dict[str, nn.Module]:
        """Everything this stage changes or needs saved, by a short name."""
        ...

    def trainable(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters this stage trains."""
        ...

    def loss(self, step: int) -> tuple[Tensor, Metrics]:
        """Loss of batch `step`: the same step always sees the same data."""
        ...

    def check(self) -> Metrics:
        """A quick look at held-out data."""
        ...


def train(
    stage: Stage,
    folder: Path,
    *,
    say: Callable[[str], None] = print,
    report_every: int = 25,
    save_every: int = 100,
    check_every: int = 250,
    after: Callable[[int], None] | None = None,
) -> None:
    """Run a stage to its end, resuming where `folder` holds a state of it.

    The state is NAME.state.safetensors, written every `save_every` steps; NAME.safetensors replaces it when
    the stage is done. `after` hears of every step that is done, before the state that counts it is written.
    Raises Refusal for a state that cannot be read, RuntimeError where the loss is not
    finite.
    """
    done, kept = folder / f"{stage.name}.safetensors", folder / f"{stage.name}.state.safetensors"
    if done.exists():
        say(f"{stage.name}: already done")
        state.load(done, stage.modules())
        return
    for module in stage.modules().values():
        module.requires_grad_(False)
    for _, p in stage.trainable():
        p.requires_grad_(True)
    optimizer = Muon(groups(stage.trainable(), stage.schedule.matrix_lr, stage.schedule.other_lr))
    rates = [g["lr"] for g in optimizer.param_groups]
    first = state.load(kept, stage.modules(), optimizer) if kept.exists() else 0
    say(f"{stage.name}: steps {first} to {stage.schedule.steps}, batches of {stage.schedule.batch}")
    sums: dict[str, float] = defaultdict(float)
    started, seen = time.monotonic(), 0
    for step in range(first, stage.schedule.steps):
        factor = stage.schedule.factor(step)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor
        loss, metrics = stage.loss(step)
        if not torch.isfinite(loss):
            raise RuntimeError(f"{stage.name}: the loss is {loss.item()} at step {step}.")
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for _, p in stage.trainable()], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seen += 1
        for key, value in ({"loss": loss.item()} | metrics).items():
            sums[key] += value
        if after:
            after(step + 1)
        if (step + 1) % report_every == 0 or step + 1 == stage.schedule.steps:
            speed = seen / (time.monotonic() - started)
            shown = "  ".join(f"{k} {v / seen:.3f}" for k, v in sums.items())
            left = (stage.schedule.steps - step - 1) / speed / 60
            pace = f"{speed * stage.schedule.batch:.0f}/s  {left:.0f} min left"
            say(f"{stage.name} {step + 1}/{stage.schedule.steps}  {shown}  {pace}")
            sums.clear()
            started, seen = time.monotonic(), 0
        if (step + 1) % check_every == 0:
            say(
                f"{stage.name} {step + 1}  held out: "
                + "  ".join(f"{k} {v:.3f}" for k, v in stage.check().items())
            )
            started, seen = time.monotonic(), 0
            sums.clear()
        if (step + 1) % save_every == 0:
            state.save(kept, stage.modules(), optimizer, step + 1)
    state.save(done, stage.modules(), None, stage.schedule.steps)
    kept.unlink(missing_ok=True)
    say(f"{stage.name}: done  " + "  ".join(f"{k} {v:.3f}" for k, v in stage.check().items()))
