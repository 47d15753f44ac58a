"""What a linear reader can still tell from one vector an image: multinomial logistic regression.

The penalty is always chosen on the validation split, never on the test split. Intervals resample images. For
many tokens an image, and for more images than memory holds, see `ridge`.

PRe (arXiv 2603.20808, on global function) trains a linear classifier on globally average-pooled visual
tokens at each layer; solver, normalisation and data are not stated there: our operationalisation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.bootstrap import Score, drop, mean_scores, share

if TYPE_CHECKING:
    from probes.readers import Read

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Splits = tuple[ArrayLike, ArrayLike, ArrayLike]
"""Training, validation and test split: features (n, width), or integer labels (n,), a row for each image."""

INVERSE_PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)
"""Grid of scikit-learn's C for the logistic reader, strongest penalty first."""
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class LogisticProbe:
    """Outcome of the logistic reader on the test split.

    accuracy: top-1 on test.
    control: top-1 on test of the same reader, same penalty, trained on shuffled labels; mean over shuffles.
        How far accuracy exceeds it is the selectivity of Hewitt and Liang (EMNLP 2019), whose control task
        assigns labels by type where this one permutes them.
    majority: share of the most frequent training label among the test labels.
    inverse_penalty: the C that validation chose.
    """

    accuracy: Score
    control: Score
    majority: float
    inverse_penalty: float

    @property
    def selectivity(self) -> tuple[float, float, float]:
        """How far the accuracy exceeds the control's, with the 95 % interval of the paired difference."""
        return drop(self.accuracy, self.control)


def logistic(
    train: tuple[ArrayLike, ArrayLike],
    validation: tuple[ArrayLike, ArrayLike],
    test: tuple[ArrayLike, ArrayLike],
    *,
    inverse_penalties: Sequence[float] = INVERSE_PENALTIES,
    shuffles: int = 10,
    resamples: int = 1000,
    seed: int = 0,
) -> LogisticProbe:
    """`logistic_stages` of one stage and one kind of label: each split is features and labels."""
    features, labels = zip(train, validation, test, strict=True)
    found = logistic_stages(
        [features],
        {"": labels},
        inverse_penalties=inverse_penalties,
        shuffles=shuffles,
        resamples=resamples,
        seed=seed,
    )
    return found[""][0]


def logistic_stages(
    stages: Sequence[Splits],
    labels: Mapping[str, Splits],
    *,
    inverse_penalties: Sequence[float] = INVERSE_PENALTIES,
    shuffles: int = 10,
    resamples: int = 1000,
    seed: int = 0,
    device: str = "cpu",
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, list[LogisticProbe]]:
    """Multinomial logistic regression on standardised features, of the same images at every stage.

    minimise  1/2 |W|^2 + C sum_i -log softmax(W x_i + b)[y_i]

    as scikit-learn's LogisticRegression does, with two classes too. Features are standardised with the mean
    and deviation of the training split; those that are constant there are set to 0. C is the one with the
    best validation accuracy, the strongest penalty winning ties. The final reader is fitted on the training
    split. The solver (`softmax`) stops where a step gains less than 1e-7 nats an image, and after 300 steps
    at the latest: what it has found by then is what is scored. The same arguments give the same outcome on
    any number of workers; on a GPU the last digits of the weights differ.

    Args:
        stages: features of each stage, of any widths. One is read at a time by each worker, so they may be
            memory maps. The stages are worked on side by side, or in batches on a GPU; what is shared between
            penalties, shuffles and kinds of labels is computed once.
        labels: by name of what is read, the same for all stages. Negative ones are none: those images have no
            part in that reader, not in its standardisation either.
        inverse_penalties: values of C, tried from strong to weak with warm starts.
        shuffles: shuffled readers that the control averages. One alone is a lottery where features form
            tight clusters, because each cluster then takes one label at random.
        resamples: bootstrap resamples of the test images.
        seed: of the shuffles and the bootstrap.
        device: "cpu", or a GPU as torch names it ("cuda").
        workers: stages at a time on the CPU; as many as cores by default, 16 at most.
        progress: told in the calling thread how many readers are done, and of how many: stages times kinds of
            labels.
        stop: asked again and again in the calling thread; where it says so the work ends.

    Returns:
        By name of what is read, for every stage.

    Raises:
        ValueError: when a split is empty, shapes disagree, a feature is not finite, or there is one class.
        workers.Stopped: when `stop` said so.
    """
    from probes.readers import read_stages

    if not len(inverse_penalties) or min(inverse_penalties) <= 0 or shuffles < 1:
        raise ValueError("need inverse penalties above 0, and at least one shuffle")
    penalties = sorted(float(c) for c in inverse_penalties)
    groups = _groups({name: _labels(name, splits) for name, splits in labels.items()})
    out: dict[str, list[LogisticProbe]] = {}
    for names in groups:

        def told(done: int, of: int, before: int = len(out), share: int = len(names)) -> None:
            progress(before * of + done * share, len(labels) * of)

        known = [y >= 0 for y in next(iter(names.values()))]
        asked = {name: [y[where] for y, where in zip(of, known, strict=True)] for name, of in names.items()}
        found = read_stages(
            partial(_features, stages, known),
            len(stages),
            asked,
            penalties,
            shuffles=shuffles,
            seed=seed,
            device=device,
            workers=workers,
            progress=told,
            stop=stop,
        )
        for name in names:
            out[name] = _scored([of[name] for of in found], asked[name], resamples, seed)
    return {name: out[name] for name in labels}


def _scored(read: list[Read], labels: list[Ints], resamples: int, seed: int) -> list[LogisticProbe]:
    """Probes of all stages, drawn with the same resamples."""
    if not read:
        return []
    train, _, test = labels
    names, counts = np.unique(train, return_counts=True)
    majority = float((test == names[counts.argmax()]).mean())
    both = np.stack([[each.right, each.control] for each in read]).reshape(2 * len(read), -1)
    scores = [share(score) for score in mean_scores(both, resamples=resamples, seed=seed)]
    return [
        LogisticProbe(accuracy, control, majority, each.inverse_penalty)
        for each, accuracy, control in zip(read, scores[::2], scores[1::2], strict=True)
    ]


def _labels(name: str, splits: Splits) -> list[Ints]:
    found = [np.asarray(labels) for labels in splits]
    of = f" of {name}" if name else ""
    for split, labels in zip(SPLITS, found, strict=True):
        if labels.ndim != 1 or not (labels >= 0).any():
            raise ValueError(f"{split}: labels{of} {labels.shape} name no image")
    if len(np.unique(found[0][found[0] >= 0])) < 2:
        raise ValueError(f"the training split holds one class{of} only: there is nothing to tell apart")
    return [labels.astype(np.int64) for labels in found]


def _groups(labels: dict[str, list[Ints]]) -> list[dict[str, list[Ints]]]:
    """The kinds of labels, those of the same images together: they share what is computed from features."""
    groups: dict[tuple[bytes, ...], dict[str, list[Ints]]] = {}
    for name, splits in labels.items():
        groups.setdefault(tuple((y >= 0).tobytes() for y in splits), {})[name] = splits
    return list(groups.values())


def _features(stages: Sequence[Splits], known: list[NDArray[np.bool_]], stage: int) -> list[Floats]:
    """The labelled images of one stage's splits as matrices of one width in double precision."""
    where = f"stage {stage}, " if len(stages) > 1 else ""
    found: list[Floats] = []
    for split, features, labelled in zip(SPLITS, stages[stage], known, strict=True):
        x = np.asarray(features)
        if x.ndim != 2 or labelled.shape != x.shape[:1]:
            raise ValueError(
                f"{where}{split}: features {x.shape} and labels {labelled.shape} do not belong together"
            )
        found.append(np.array(x if labelled.all() else x[labelled], dtype=np.float64, order="C"))
    for split, x in zip(SPLITS, found, strict=True):
        if x.shape[1] != found[0].shape[1]:
            raise ValueError(f"{where}{split}: {x.shape[1]} features, where training has {found[0].shape[1]}")
        if not np.isfinite(x).all():
            bad = int((~np.isfinite(x)).any(axis=1).sum())
            raise ValueError(f"{where}{split}: {bad} rows hold NaN or infinity")
    return found
