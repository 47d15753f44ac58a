"""What a linear reader can still tell from hidden states.

Two readers: multinomial logistic regression for one label per image or token (`logistic`), and ridge
regression to indicators, every penalty from one eigendecomposition, for millions of tokens (`Moments`,
`RidgePath`, `segmentation`). A penalty is always chosen on the validation split, never on the test split.
Intervals resample images, with all their tokens.

PRe (arXiv 2603.20808, on global function) trains a linear classifier on globally average-pooled visual
tokens at each layer; solver, normalisation and data are not stated there: our operationalisation.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.bootstrap import Score, draws, interval, mean_score

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

INVERSE_PENALTIES = (0.001, 0.01, 0.1, 1.0)
"""Grid of scikit-learn's C for the logistic reader, strongest penalty first."""

RIDGE_PENALTIES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""Grid of lambda / n for the ridge reader on standardised features, strongest penalty first."""

FLAT = 1e-12
"""Variance, as a part of the squared mean, up to which a feature counts as constant: float32's rounding."""


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
    mean, inverse = x.mean(axis=0), _inverse_scale(x.mean(axis=0), x.var(axis=0))
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


def _inverse_scale(mean: Floats, variance: Floats) -> Floats:
    """1 / deviation of each feature, 0 for a constant one: dividing by its rounding would invent a signal."""
    varies = variance > FLAT * np.maximum(mean**2, FLAT)
    return np.divide(1.0, np.sqrt(variance), out=np.zeros_like(variance), where=varies)


def _split(features: ArrayLike, labels: ArrayLike, *, name: str) -> tuple[Floats, Ints]:
    x, y = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if x.ndim != 2 or y.shape != x.shape[:1] or not len(y):
        raise ValueError(f"{name}: features {x.shape} and labels {y.shape} do not belong together")
    if not np.isfinite(x).all():
        raise ValueError(f"{name}: {int((~np.isfinite(x)).any(axis=1).sum())} rows hold NaN or infinity")
    return x, y.astype(np.int64)


class Moments:
    """Sums that a ridge reader needs, gathered batch by batch in memory that does not grow with the tokens.

    Holds n, the sums of x and of the one-hot label y, x^T x, x^T y, and x^T y with the labels of each batch
    permuted (for the shuffled-label control), in float64.
    """

    def __init__(self, width: int, classes: int, seed: int = 0) -> None:
        """Start empty; `seed` draws the permutations."""
        self.width, self.classes, self.n = width, classes, 0
        self._rng = np.random.default_rng(seed)
        self.x = np.zeros(width)
        self.y = np.zeros(classes)
        self.xx = np.zeros((width, width))
        self.xy = np.zeros((width, classes))
        self.xy_shuffled = np.zeros((width, classes))

    def update(self, features: ArrayLike, labels: ArrayLike) -> None:
        """Add rows (n, width) with labels (n,) in 0..classes-1; rows labelled -1 are left out."""
        x, y = np.asarray(features, dtype=np.float64), np.asarray(labels, dtype=np.int64)
        if x.ndim != 2 or x.shape[1] != self.width or y.shape != x.shape[:1]:
            raise ValueError(f"features {x.shape} and labels {y.shape} do not fit width {self.width}")
        if y.max(initial=-1) >= self.classes:
            raise ValueError(f"label {y.max()} is outside 0..{self.classes - 1}")
        x, y = x[y >= 0], y[y >= 0]
        if not np.isfinite(x).all():
            raise ValueError("features hold NaN or infinity")
        target = np.eye(self.classes)[y]
        self.n += len(x)
        self.x += x.sum(axis=0)
        self.y += target.sum(axis=0)
        self.xx += x.T @ x
        self.xy += x.T @ target
        self.xy_shuffled += x.T @ target[self._rng.permutation(len(x))]


class RidgePath:
    """Ridge regression to class indicators (one against all) for every penalty of a grid.

    With standardised features z (training mean m, deviation s) and centred indicators t:

        W(lambda) = (Z^T Z + lambda I)^-1 Z^T T = V diag(1 / (e + lambda)) V^T Z^T T,   Z^T Z = V diag(e) V^T

    so one eigendecomposition serves every lambda; the intercept is the class share and is not penalised.
    The class with the highest score is read.
    """

    def __init__(
        self, moments: Moments, penalties: Sequence[float] = RIDGE_PENALTIES, *, shuffled: bool = False
    ) -> None:
        """Solve for every lambda = penalty * n, from the true or from the shuffled labels.

        Raises:
            ValueError: without rows, or with a penalty that is not positive.
        """
        if moments.n == 0:
            raise ValueError("the training split holds no labelled token")
        if not len(penalties) or min(penalties) <= 0:
            raise ValueError("penalties must be positive")
        n = moments.n
        self.penalties = tuple(float(p) for p in penalties)
        self.mean = moments.x / n
        covariance = moments.xx / n - np.outer(self.mean, self.mean)
        self.inverse_scale = _inverse_scale(self.mean, np.clip(np.diag(covariance), 0, None))
        self.share = moments.y / n
        correlation = covariance * np.outer(self.inverse_scale, self.inverse_scale)
        products = moments.xy_shuffled if shuffled else moments.xy
        target = (products / n - np.outer(self.mean, self.share)) * self.inverse_scale[:, None]
        values, vectors = np.linalg.eigh(correlation)
        values = np.clip(values, 0.0, None)
        rotated = vectors.T @ target
        self.weights = np.stack([vectors @ (rotated / (values + p)[:, None]) for p in self.penalties])

    def predict(self, features: ArrayLike, penalty: int | None = None) -> Ints:
        """Classes read from features (n, width): (penalties, n), or (n,) for one penalty's index."""
        z = (np.asarray(features, dtype=np.float64) - self.mean) * self.inverse_scale
        weights = self.weights if penalty is None else self.weights[penalty]
        return np.asarray((z @ weights + self.share).argmax(axis=-1))


def confusions(truth: ArrayLike, predicted: ArrayLike, classes: int) -> Ints:
    """Confusion matrix of each image: truth and predicted (N, tokens) -> (N, classes, classes), rows = truth.

    Tokens whose truth is -1 are not counted.

    Raises:
        ValueError: when shapes disagree, or a class is outside 0..classes-1.
    """
    t, p = np.asarray(truth, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if t.shape != p.shape or t.ndim != 2:
        raise ValueError(f"truth {t.shape} and prediction {p.shape} must both have shape (images, tokens)")
    image = np.broadcast_to(np.arange(len(t))[:, None], t.shape)
    known = t >= 0
    if known.any() and (max(t.max(), p[known].max()) >= classes or p[known].min() < 0):
        raise ValueError(f"a class in truth or prediction is outside 0..{classes - 1}")
    cell = (image[known] * classes + t[known]) * classes + p[known]
    return np.bincount(cell, minlength=len(t) * classes * classes).reshape(len(t), classes, classes)


def intersection_over_union(confusion: ArrayLike) -> Floats:
    """IoU of each class, TP / (TP + FP + FN): (..., C, C) -> (..., C); NaN for a class that never occurs."""
    c = np.asarray(confusion, dtype=np.float64)
    hit = np.diagonal(c, axis1=-2, axis2=-1)
    union = c.sum(axis=-1) + c.sum(axis=-2) - hit
    return np.divide(hit, union, out=np.full(hit.shape, np.nan), where=union > 0)


def mean_iou(confusion: ArrayLike) -> Floats:
    """Mean IoU over the classes that occur in truth or prediction: (..., C, C) -> (...)."""
    iou = intersection_over_union(confusion)
    known = np.isfinite(iou)
    n = known.sum(axis=-1)
    total = np.asarray(np.where(known, iou, 0.0).sum(axis=-1))
    return np.divide(total, n, out=np.full(total.shape, np.nan), where=n > 0)


@dataclass(frozen=True)
class Segmentation:
    """Reading of classes from single tokens: accuracy over tokens, mean IoU, IoU of each class (classes,)."""

    accuracy: Score
    miou: Score
    iou: Floats


def segmentation(per_image: ArrayLike, *, resamples: int = 1000, seed: int = 0) -> Segmentation:
    """Score confusion matrices of test images (N, C, C); intersections and unions are pooled over images.

    The interval draws images again and pools anew. Images without a labelled token count for nothing.

    Raises:
        ValueError: when no image has a labelled token.
    """
    c = np.asarray(per_image, dtype=np.float64)
    images, classes, n = len(c), c.shape[-1], int((c.sum(axis=(1, 2)) > 0).sum())
    if not n:
        raise ValueError("no test image has a labelled token")
    counts = draws(images, resamples, seed)
    pooled = (counts @ c.reshape(images, -1)).reshape(-1, classes, classes)
    whole = c.sum(axis=0)

    def score(of: Callable[[Floats], Floats]) -> Score:
        samples = of(pooled)
        bounds = interval(samples) if n > 1 else (np.nan, np.nan)
        return Score(float(of(whole)), *bounds, n, images, samples)

    return Segmentation(score(_accuracy), score(mean_iou), intersection_over_union(whole))


def _accuracy(confusion: Floats) -> Floats:
    """Share of tokens on the diagonal: (..., C, C) -> (...); NaN without tokens."""
    total = confusion.sum(axis=(-2, -1))
    hits = np.asarray(np.trace(confusion, axis1=-2, axis2=-1))
    return np.divide(hits, total, out=np.full(hits.shape, np.nan), where=total > 0)
