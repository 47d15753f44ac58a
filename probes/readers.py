"""The logistic readers of many stages: stages side by side on the CPU, or in batches on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from probes import softmax
from probes.rotation import Principal, Standard
from probes.workers import Stopped, side_by_side

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COLUMNS = 512
"""Classes times shuffled label sets that are fitted at once."""


@dataclass(frozen=True)
class Read:
    """What readers of one stage said about the test images, each (images,).

    right: whether the reader was right. control: the share of readers of shuffled labels that were.
    inverse_penalty: the C that validation chose.
    """

    right: Floats
    control: Floats
    inverse_penalty: float


def read_stages(
    features: Callable[[int], list[Floats]],
    count: int,
    labels: Mapping[str, list[Ints]],
    penalties: Sequence[float],
    *,
    shuffles: int,
    seed: int,
    device: str,
    workers: int | None,
    progress: Callable[[int, int], None],
    stop: Callable[[], bool],
) -> list[dict[str, Read]]:
    """See `linear.logistic_stages`; `features` gives the three splits of one stage."""
    tasks = {name: _Task.of(splits, shuffles, seed, device) for name, splits in labels.items()}

    def solved(stages: list[_Stage], check: Callable[[], None]) -> list[dict[str, Read]]:
        by_task = {name: task.read(stages, penalties, check) for name, task in tasks.items()}
        return [{name: found[i] for name, found in by_task.items()} for i in range(len(stages))]

    if _on_cores(device):
        return side_by_side(
            lambda i, check: solved([_Stage.of(features(i), device)], check)[0],
            count,
            workers=workers,
            progress=progress,
            stop=stop,
        )

    def check() -> None:
        if stop():
            raise Stopped

    out: list[dict[str, Read]] = []
    while len(out) < count:
        batch = [_Stage.of(features(len(out)), device)]
        most = min(_most_stages(batch[0], tasks), count - len(out))
        while len(batch) < most:
            check()
            batch.append(_Stage.of(features(len(out) + len(batch)), device))
        out += solved(batch, check)
        progress(len(out), count)
    return out


def _on_cores(device: str) -> bool:
    return torch.device(device).type == "cpu"


@dataclass(frozen=True)
class _Stage:
    """One stage's splits, standardised; the training split in its principal directions."""

    principal: Principal
    validation: Tensor
    test: Tensor

    @classmethod
    def of(cls, splits: list[Floats], device: str) -> _Stage:
        train, validation, test = (torch.from_numpy(x).to(device) for x in splits)
        standard = Standard.of(train)
        principal = Principal.of(standard(train)).to(torch.float32)
        return cls(principal, standard(validation).float(), standard(test).float())

    def said(self, weights: Tensor, features: Tensor) -> Tensor:
        """The classes read from standardised features by weights (columns + 1, sets, classes): (sets, m)."""
        own = weights[: self.principal.rotated.shape[1]]
        back = self.principal.back(own.flatten(1)).unflatten(1, own.shape[1:])
        return softmax.predict(back, weights[-1], features)


@dataclass(frozen=True)
class _Task:
    """Labels as places among the classes of the training split; -1 for one that is not among them."""

    classes: int
    train: Tensor
    shuffled: Tensor
    validation: Tensor
    test: Tensor

    @classmethod
    def of(cls, splits: list[Ints], shuffles: int, seed: int, device: str) -> _Task:
        names, train = np.unique(splits[0], return_inverse=True)
        rng = np.random.default_rng(seed)
        shuffled = np.stack([rng.permutation(train) for _ in range(shuffles)])
        asked = [np.searchsorted(names, labels).clip(max=len(names) - 1) for labels in splits[1:]]
        asked = [np.where(names[i] == y, i, -1) for i, y in zip(asked, splits[1:], strict=True)]
        found = (torch.from_numpy(y.astype(np.int64)).to(device) for y in (train[None], shuffled, *asked))
        return cls(len(names), *found)

    def read(self, stages: list[_Stage], penalties: Sequence[float], check: Callable[[], None]) -> list[Read]:
        """Readers of stages of the same images, fitted as one batch."""
        x = _stacked([stage.principal.rotated for stage in stages])
        path: list[Tensor] = []
        shares = []
        for c in penalties:
            check()
            strength = x.new_full((len(stages),), c)
            path.append(softmax.fit(x, self.train, self.classes, strength, path[-1] if path else None))
            right = [
                (stage.said(weights, stage.validation) == self.validation).double().mean()
                for stage, weights in zip(stages, path[-1], strict=True)
            ]
            shares.append([float(share) for share in right])
        best = np.argmax(shares, axis=0)
        chosen = [penalties[k] for k in best]
        controls = self._controls(stages, x, x.new_tensor(chosen), check)
        return [
            Read(
                (stage.said(path[k][i], stage.test)[0] == self.test).double().cpu().numpy(),
                controls[i],
                chosen[i],
            )
            for i, (stage, k) in enumerate(zip(stages, best, strict=True))
        ]

    def _controls(
        self, stages: list[_Stage], x: Tensor, strength: Tensor, check: Callable[[], None]
    ) -> list[Floats]:
        hits = torch.zeros(len(stages), len(self.test), dtype=torch.float64, device=x.device)
        for labels in self.shuffled.split(max(1, COLUMNS // self.classes)):
            check()
            weights = softmax.fit(x, labels, self.classes, strength)
            for i, stage in enumerate(stages):
                hits[i] += (stage.said(weights[i], stage.test) == self.test).sum(dim=0)
        return list((hits / len(self.shuffled)).cpu().numpy())


def _stacked(rotated: list[Tensor]) -> Tensor:
    """(stages, n, most columns), the narrower filled up with zeros."""
    most = max(x.shape[1] for x in rotated)
    return torch.stack([torch.nn.functional.pad(x, (0, most - x.shape[1])) for x in rotated])


def _most_stages(like: _Stage, tasks: Mapping[str, _Task]) -> int:
    """How many stages like this one fit on a GPU at once, in half of what is free and told generously."""
    n, columns = like.principal.rotated.shape
    sets = max(
        task.classes * min(len(task.shuffled), max(1, COLUMNS // task.classes)) for task in tasks.values()
    )
    held = sum(x.numel() for x in (like.principal.left, like.validation, like.test)) + 3 * n * max(n, columns)
    fitted = (2 * softmax.MEMORY + 8) * columns * sets + 8 * n * sets
    free, _ = torch.cuda.mem_get_info(like.test.device)
    return max(1, int(free / 2 / (4 * (held + fitted))))
