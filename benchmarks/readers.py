"""Ways to fit linear readers of many stages, and the states they read: the probes benchmark's subject."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from probes.linear import INVERSE_PENALTIES, logistic_stages
from probes.workers import cores

Split = NDArray[np.float32]
Stage = tuple[Split, Split, Split]
Labels = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

CLASSES, LATENT, SHUFFLES = 10, 256, 10


@dataclass(frozen=True)
class Found:
    """What a way says of one stage: the penalty that validation chose, accuracy and control on test."""

    inverse_penalty: float
    accuracy: float
    control: float


@dataclass(frozen=True)
class Size:
    """Images of each split, and numbers an image."""

    train: int
    validation: int
    test: int
    width: int


class States:
    """Synthetic pooled states: classes in some of 256 directions whose spread falls off, and noise in all.

    The later a stage, the less of the class is left, so that accuracies lie between chance and one.
    """

    def __init__(self, width: int, stages: int) -> None:
        """Draw what all images share: of what classes are made, and how each stage mixes it."""
        rng = np.random.default_rng(0)
        self.width, self.stages = width, stages
        self.centres = rng.normal(size=(CLASSES, LATENT)).astype(np.float32)
        self.spread = (np.arange(1, LATENT + 1) ** -0.5).astype(np.float32)

    def labels(self, split: int, n: int) -> NDArray[np.int64]:
        """Of n images, (n,)."""
        return np.random.default_rng((1, split)).integers(0, CLASSES, n)

    def of(self, stage: int, split: int, labels: NDArray[np.int64]) -> Split:
        """Pooled states of images with these labels at a stage, (n, width)."""
        mixing = np.random.default_rng((2, stage)).normal(size=(LATENT, self.width)).astype(np.float32)
        rng = np.random.default_rng((3, stage, split))
        left = 0.2 - 0.12 * stage / self.stages
        inside = left * self.centres[labels] + rng.standard_normal((len(labels), LATENT), dtype=np.float32)
        noise = rng.standard_normal((len(labels), self.width), dtype=np.float32)
        return 2.0 + (inside * self.spread) @ mixing + 0.5 * noise

    def all_of(self, size: Size, stages: Sequence[int]) -> tuple[list[Stage], Labels]:
        """Three splits of each of these stages, and their labels."""
        counts = (size.train, size.validation, size.test)
        train, validation, test = (self.labels(split, n) for split, n in enumerate(counts))
        found = [(self.of(i, 0, train), self.of(i, 1, validation), self.of(i, 2, test)) for i in stages]
        return found, (train, validation, test)


Way = Callable[[list[Stage], Labels], list[Found]]


def ours(stages: list[Stage], labels: Labels, device: str = "cpu") -> list[Found]:
    """`probes.linear.logistic_stages`."""
    found = logistic_stages(stages, {"": labels}, shuffles=SHUFFLES, device=device)[""]
    return [Found(one.inverse_penalty, one.accuracy.value, one.control.value) for one in found]


def fitted(
    stage: Stage,
    labels: Labels,
    *,
    threads: int | None,
    warm: bool,
    tolerance: float = 1e-4,
    shuffles: int = SHUFFLES,
) -> Found:
    """One stage with scikit-learn's own solver: the penalty path, then the shuffled labels."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    scale = StandardScaler().fit(stage[0].astype(np.float64))
    x, xv, xt = (scale.transform(split.astype(np.float64)) for split in stage)
    y, yv, yt = labels
    with threadpool_limits(threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(max_iter=5000, tol=tolerance, warm_start=warm)
        scores, tested = [], []
        for c in INVERSE_PENALTIES:
            model.set_params(C=c).fit(x, y)
            scores.append(model.score(xv, yv))
            tested.append(model.score(xt, yt))
        best = int(np.argmax(scores))
        rng = np.random.default_rng(0)
        control = LogisticRegression(max_iter=5000, tol=tolerance, C=INVERSE_PENALTIES[best])
        shares = [control.fit(x, rng.permutation(y)).score(xt, yt) for _ in range(shuffles)]
    return Found(INVERSE_PENALTIES[best], tested[best], float(np.mean(shares or np.nan)))


def loop(stages: list[Stage], labels: Labels) -> list[Found]:
    """scikit-learn with one thread, warm starts along the path, stage after stage."""
    return [fitted(stage, labels, threads=1, warm=True) for stage in stages]


def naive(stages: list[Stage], labels: Labels) -> list[Found]:
    """scikit-learn as it comes: as many threads as it likes, every fit from the start."""
    return [fitted(stage, labels, threads=None, warm=False) for stage in stages]


def processes(stages: list[Stage], labels: Labels) -> list[Found]:
    """The loop's stages in as many processes as there are cores; what starts them counts."""
    work = partial(fitted, labels=labels, threads=1, warm=True)
    with ProcessPoolExecutor(min(cores(), len(stages)), mp_context=get_context("spawn")) as pool:
        return list(pool.map(work, stages))


def settled(stages: list[Stage], labels: Labels) -> list[Found]:
    """The loop to a hundredth of its tolerance, without controls: at its default the path ends early."""
    return [fitted(stage, labels, threads=1, warm=True, tolerance=1e-6, shuffles=0) for stage in stages]


def ways(device: str) -> dict[str, Way]:
    """By name, ours on this device first."""
    return {"ours": partial(ours, device=device), "loop": loop, "processes": processes, "naive": naive}
