"""What a linear reader can still tell from one vector an image: multinomial logistic regression.

The penalty is always chosen on the validation split, never on the test split. Intervals resample images. For
many tokens an image see `ridge`.

PRe (arXiv 2603.20808, on global function) trains a linear classifier on globally average-pooled visual
tokens at each layer; solver, normalisation and data are not stated there: our operationalisation.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.bootstrap import Score, mean_score
from probes.ridge import inverse_scale

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

INVERSE_PENALTIES = (0.001, 0.01, 0.1, 1.0)
"""Grid of scikit-learn's C for the logistic reader, strongest penalty first."""


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
    """Multinomial logistic regression on standardised features.

    minimise  1/2 |W|^2 + C sum_i -log softmax(W x_i + b)[y_i]

    Features are standardised with the mean and deviation of the training split; those that are constant
    there are set to 0. C is the one with the best validation accuracy, the strongest penalty winning ties.
    The final reader is fitted on the training split. The solver (L-BFGS) stops after 300 iterations at the
    latest: what it has found by then is what is scored.

    Args:
        train: features (n, width) and integer labels (n,), a row for each image; likewise `validation` and
            `test`.
        inverse_penalties: values of C, tried from strong to weak with warm starts.
        shuffles: shuffled readers that the control averages. One alone is a lottery where features form
            tight clusters, because each cluster then takes one label at random.
        resamples: bootstrap resamples of the test images.
        seed: of the shuffles and the bootstrap.

    Raises:
        ValueError: when a split is empty, shapes disagree, a feature is not finite, or there is one class.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    x, y = _split(*train, name="train")
    xv, yv = _split(*validation, name="validation")
    xt, yt = _split(*test, name="test")
    if len(np.unique(y)) < 2:
        raise ValueError("the training split holds one class only: there is nothing to tell apart")
    mean, inverse = x.mean(axis=0), inverse_scale(x.mean(axis=0), x.var(axis=0))
    x, xv, xt = (x - mean) * inverse, (xv - mean) * inverse, (xt - mean) * inverse

    def fitted(labels: Ints, penalties: Sequence[float]) -> list[LogisticRegression]:
        model = LogisticRegression(max_iter=300, tol=1e-3, warm_start=True)
        models = []
        for c in penalties:
            models.append(copy.deepcopy(model.set_params(C=c).fit(x, labels)))
        return models

    # One thread: in small problems BLAS threads cost more in waiting than they give, above all when shared.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        penalties = sorted(inverse_penalties)
        path = fitted(y, penalties)
        best = int(np.argmax([float((m.predict(xv) == yv).mean()) for m in path]))
        right = path[best].predict(xt) == yt
        rng = np.random.default_rng(seed)
        chosen = [penalties[best]]
        controls = [fitted(rng.permutation(y), chosen)[0].predict(xt) == yt for _ in range(shuffles)]

    names, counts = np.unique(y, return_counts=True)
    return LogisticProbe(
        accuracy=mean_score(right, resamples=resamples, seed=seed),
        control=mean_score(np.mean(controls, axis=0), resamples=resamples, seed=seed),
        majority=float((yt == names[counts.argmax()]).mean()),
        inverse_penalty=float(penalties[best]),
    )


def _split(features: ArrayLike, labels: ArrayLike, *, name: str) -> tuple[Floats, Ints]:
    x, y = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if x.ndim != 2 or y.shape != x.shape[:1] or not len(y):
        raise ValueError(f"{name}: features {x.shape} and labels {y.shape} do not belong together")
    if not np.isfinite(x).all():
        raise ValueError(f"{name}: {int((~np.isfinite(x)).any(axis=1).sum())} rows hold NaN or infinity")
    return x, y.astype(np.int64)
