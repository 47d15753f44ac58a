"""Ridge regression from tokens to anything, every penalty from one eigendecomposition.

`Moments` gathers sums batch by batch; `RidgePath` solves; what is read are classes (`segmentation`) or
numbers (`content`). A penalty is always chosen on the validation split, never on the test split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RIDGE_PENALTIES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""Grid of lambda / n for the ridge reader on standardised features, strongest penalty first."""

SUMS = ("x", "y", "xx", "xy", "y_shuffled", "xy_shuffled", "pool")
"""What `Moments` holds besides the number of rows."""

POOL = 4096
"""Targets that the control's are drawn from."""
FLAT = 1e-12
"""Variance, as a part of the squared mean, up to which a feature counts as constant: float32's rounding."""


def inverse_scale(mean: Floats, variance: Floats) -> Floats:
    """1 / deviation of each feature, 0 for a constant one: dividing by its rounding would invent a signal."""
    varies = variance > FLAT * np.maximum(mean**2, FLAT)
    return np.divide(1.0, np.sqrt(variance), out=np.zeros_like(variance), where=varies)


class Moments:
    """Sums that a ridge reader needs, gathered batch by batch in memory that does not grow with the tokens.

    Holds n, the sums of x and of the target y, x^T x, x^T y, and for the control the sums of x and of the
    targets of other rows, drawn from a sample of all rows before the batch (of the batch itself where it is
    the first): a batch may be one image, whose tokens have much in common. All in float64.
    """

    def __init__(self, width: int, outputs: int, seed: int = 0) -> None:
        """Start empty; `seed` draws the permutations."""
        self.width, self.outputs, self.n = width, outputs, 0
        self.seed = seed
        self.x = np.zeros(width)
        self.y = np.zeros(outputs)
        self.xx = np.zeros((width, width))
        self.xy = np.zeros((width, outputs))
        self.y_shuffled = np.zeros(outputs)
        self.xy_shuffled = np.zeros((width, outputs))
        self.pool = np.zeros((0, outputs))

    def update(self, features: ArrayLike, targets: ArrayLike) -> None:
        """Add rows (n, width) with targets (n, outputs); a row with a target that is NaN is left out.

        Raises:
            ValueError: when shapes disagree, or a feature of a row that counts is not finite.
        """
        x, y = np.asarray(features, dtype=np.float64), np.asarray(targets, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.width or y.shape != (len(x), self.outputs):
            raise ValueError(
                f"features {x.shape} and targets {y.shape} do not fit width {self.width} and {self.outputs} "
                "outputs"
            )
        known = ~np.isnan(y).any(axis=1)
        x, y = x[known], y[known]
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise ValueError("features or targets hold NaN or infinity")
        # Drawn from the seed and the rows so far: sums that were put down and taken up again go on the same.
        rng = np.random.default_rng((self.seed, self.n))
        mixed = self.pool[rng.integers(len(self.pool), size=len(x))] if self.n else y[rng.permutation(len(x))]
        self._remember(y, rng)
        self.n += len(x)
        self.x += x.sum(axis=0)
        self.y += y.sum(axis=0)
        self.xx += x.T @ x
        self.xy += x.T @ y
        self.y_shuffled += mixed.sum(axis=0)
        self.xy_shuffled += x.T @ mixed

    def _remember(self, y: Floats, rng: np.random.Generator) -> None:
        """Keep a uniform sample of POOL rows of all targets so far (reservoir sampling)."""
        room = POOL - len(self.pool)
        self.pool = np.concatenate([self.pool, y[: max(room, 0)]])
        rest = y[max(room, 0) :]
        places = rng.integers(self.n + len(y) - len(rest) + 1 + np.arange(len(rest)))
        kept = places < POOL
        self.pool[places[kept]] = rest[kept]

    def held(self) -> dict[str, Floats]:
        """Everything gathered so far, by name: what `restore` takes."""
        sums = {name: getattr(self, name) for name in SUMS}
        return sums | {"n": np.array([self.n], dtype=np.float64)}

    def restore(self, held: Mapping[str, Floats]) -> None:
        """Go on from what an earlier one held."""
        self.n = int(held["n"][0])
        for name in SUMS:
            setattr(self, name, np.array(held[name], dtype=np.float64))


class LabelMoments(Moments):
    """The same of class labels: targets are the indicators of `outputs` classes."""

    def update(self, features: ArrayLike, targets: ArrayLike) -> None:
        """Add rows (n, width) with labels (n,) in 0..outputs-1; rows labelled -1 are left out.

        Raises:
            ValueError: when shapes disagree, a label is too large, or a feature is not finite.
        """
        labels = np.asarray(targets, dtype=np.int64)
        if labels.ndim != 1:
            raise ValueError(f"labels must have shape (n,), not {labels.shape}")
        if labels.max(initial=-1) >= self.outputs:
            raise ValueError(f"label {labels.max()} is outside 0..{self.outputs - 1}")
        indicators = np.eye(self.outputs)[labels]
        indicators[labels < 0] = np.nan
        super().update(features, indicators)


class RidgePath:
    """Ridge regression for every penalty of a grid; of classes, to their indicators (one against all).

    With standardised features z (training mean m, deviation s) and centred targets t:

        W(lambda) = (Z^T Z + lambda I)^-1 Z^T T = V diag(1 / (e + lambda)) V^T Z^T T,   Z^T Z = V diag(e) V^T

    so one eigendecomposition serves every lambda; the intercept is the mean target and is not penalised.
    """

    def __init__(self, moments: Moments, penalties: Sequence[float] = RIDGE_PENALTIES) -> None:
        """Solve for every lambda = penalty * n; `control` does so for shuffled targets.

        Raises:
            ValueError: without rows, or with a penalty that is not positive.
        """
        if moments.n == 0:
            raise ValueError("the training split holds no token with a target")
        if not len(penalties) or min(penalties) <= 0:
            raise ValueError("penalties must be positive")
        n = moments.n
        self.penalties = tuple(float(p) for p in penalties)
        self.mean = moments.x / n
        covariance = moments.xx / n - np.outer(self.mean, self.mean)
        self.inverse_scale = inverse_scale(self.mean, np.clip(np.diag(covariance), 0, None))
        self.intercept = moments.y / n
        correlation = covariance * np.outer(self.inverse_scale, self.inverse_scale)
        values, vectors = np.linalg.eigh(correlation)
        values = np.clip(values, 0.0, None)

        def solved(products: Floats, mean: Floats) -> Floats:
            target = (products / n - np.outer(self.mean, mean)) * self.inverse_scale[:, None]
            rotated = vectors.T @ target
            return np.stack([vectors @ (rotated / (values + p)[:, None]) for p in self.penalties])

        self.weights = solved(moments.xy, self.intercept)
        self.shuffled = solved(moments.xy_shuffled, moments.y_shuffled / n)

    def control(self) -> RidgePath:
        """The same reader with the weights that it learned from shuffled targets."""
        other = copy(self)
        other.weights = self.shuffled
        return other

    def values(self, features: ArrayLike, penalty: int | None = None) -> Floats:
        """Numbers read from features (n, width): (penalties, n, outputs), or those of one penalty."""
        z = (np.asarray(features, dtype=np.float64) - self.mean) * self.inverse_scale
        weights = self.weights if penalty is None else self.weights[penalty]
        return np.asarray(z @ weights + self.intercept)

    def classes(self, features: ArrayLike, penalty: int | None = None) -> Ints:
        """The class with the highest value: (penalties, n), or (n,) for one penalty's index."""
        return np.asarray(self.values(features, penalty).argmax(axis=-1))
