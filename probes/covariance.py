"""The shape of all tokens of a data set, gathered batch by batch in memory that does not grow with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.bootstrap import Score, interval, resampled_sums
from probes.similarity import ROUNDING

Floats = NDArray[np.float64]


class Covariance:
    """Mean and covariance of tokens, and what `geometry` reads from a cloud of them, for a whole data set.

    Batches are merged as Chan, Golub and LeVeque do (1983): each around its own mean, so that a mean much
    longer than the spread costs no digits. Holds a square of the width in float64.
    """

    def __init__(self, width: int) -> None:
        """Start empty."""
        self.n = 0
        self.mean = np.zeros(width)
        self._products = np.zeros((width, width))
        self._size = 0.0
        self._largest = np.zeros(width)

    def update(self, states: ArrayLike) -> None:
        """Add tokens (..., width).

        Raises:
            ValueError: for another width, or a state that is not finite.
        """
        x = np.asarray(states, dtype=np.float64)
        width = len(self.mean)
        if x.ndim < 2 or x.shape[-1] != width or not np.isfinite(x).all():
            raise ValueError(f"states must be finite and have shape (..., tokens, {width}), not {x.shape}")
        x = x.reshape(-1, width)
        if not len(x):
            return
        self._size += float((x * x).sum())
        self._largest = np.maximum(self._largest, np.abs(x).max(axis=0))
        mean, n = x.mean(axis=0), len(x)
        x = x - mean
        apart, both = mean - self.mean, self.n + n
        self._products += x.T @ x + np.outer(apart, apart) * (self.n * n / both)
        self.mean = self.mean + apart * (n / both)
        self.n = both

    def held(self) -> dict[str, Floats]:
        """Everything gathered so far, by name: what `restore` takes."""
        return {
            "n": np.array([self.n, self._size], dtype=np.float64),
            "mean": self.mean,
            "products": self._products,
            "largest": self._largest,
        }

    def restore(self, held: Mapping[str, Floats]) -> None:
        """Go on from what an earlier one held."""
        self.n, self._size = int(held["n"][0]), float(held["n"][1])
        self.mean, self._products, self._largest = (
            np.array(held[name], dtype=np.float64) for name in ("mean", "products", "largest")
        )

    @property
    def value(self) -> Floats:
        """The covariance (width, width), squares divided by n. Raises ValueError before two tokens."""
        if self.n < 2:
            raise ValueError("a covariance needs two or more tokens")
        return self._products / self.n

    def spectrum(self) -> Floats:
        """As `geometry.spectrum`: shares of the variance, largest first, at most min(n - 1, width)."""
        values = np.linalg.eigvalsh(self.value)[::-1].clip(0)[: min(self.n - 1, len(self.mean))]
        return values / values.sum() if self._spreads() else np.full(len(values), np.nan)

    def participation_ratio(self) -> float:
        """As `geometry.participation_ratio`, without an eigendecomposition."""
        c = self.value
        return float(np.trace(c) ** 2 / (c * c).sum()) if self._spreads() else float("nan")

    def components_for(self, share: float = 0.9) -> float:
        """As `geometry.components_for`. Raises ValueError for a share outside 0..1."""
        return components(self.spectrum(), share)

    def feature_correlation(self) -> float:
        """As `geometry.feature_correlation`."""
        deviation = np.sqrt(np.diag(self.value))
        varies = deviation > ROUNDING * self._largest
        k = int(varies.sum())
        if k < 2:
            return float("nan")
        d = deviation[varies]
        correlation = self.value[np.ix_(varies, varies)] / np.outer(d, d)
        return float((np.abs(correlation).sum() - k) / (k * (k - 1)))

    def slope_of_participation_ratio(self) -> Floats:
        """How `participation_ratio` changes with the covariance: its gradient, see `Influence`.

        Of t² / q, t the trace and q the sum of the squared entries: 2 t / q I - 2 t² / q² C, (width, width).
        """
        c = self.value
        t, q = float(np.trace(c)), float((c * c).sum())
        if not self._spreads():
            return np.full_like(c, np.nan)
        return np.asarray(2 * t / q * np.eye(len(c)) - 2 * t * t / (q * q) * c)

    def slope_of_feature_correlation(self) -> Floats:
        """The same of `feature_correlation`; 0 for features that are constant.

        Of the mean of |r_jk| over pairs of k features: sign(r_jk) / (s_j s_k) for a pair, s their deviations,
        and minus the sum over k of |r_jk| / s_j² on the diagonal, all over k (k - 1).
        """
        c = self.value
        deviation = np.sqrt(np.diag(c))
        varies = deviation > ROUNDING * self._largest
        k = int(varies.sum())
        if k < 2:
            return np.full_like(c, np.nan)
        inverse = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=varies)
        correlation = c * np.outer(inverse, inverse)
        np.fill_diagonal(correlation, 0.0)
        slope = np.sign(correlation) * np.outer(inverse, inverse)
        np.fill_diagonal(slope, -np.abs(correlation).sum(axis=1) * inverse**2)
        return np.asarray(slope / (k * (k - 1)))

    def _spreads(self) -> bool:
        """Whether the tokens differ by more than rounding."""
        return bool(np.trace(self._products) > ROUNDING**2 * self._size)


class Influence:
    """How much each image moves numbers of a covariance: what their intervals are drawn from.

    To resample images one would need the covariance of each. To first order a resample moves a smooth
    function f of the covariance C by the mean of what its images add, <f'(C), their own scatter around the
    mean> (the infinitesimal jackknife; Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans,
    chapter 6). f' and the mean are taken from other images of the same kind, gathered before, so that images
    may pass one by one; that is ours.
    """

    def __init__(self, mean: Floats, slopes: Sequence[Floats]) -> None:
        """`mean` (width,) and the slope (width, width) of each number, of images gathered before."""
        self._mean = mean
        self._slopes = [np.asarray(slope, dtype=np.float32) for slope in slopes]

    def of(self, states: ArrayLike) -> Floats:
        """Of tokens (N, tokens, width): the sum over an image's tokens for each number, (N, numbers)."""
        x = (np.asarray(states, dtype=np.float64) - self._mean).astype(np.float32)
        found = [((x @ slope) * x).sum(axis=(1, 2), dtype=np.float64) for slope in self._slopes]
        return np.stack(found, axis=1)


def influenced(value: float, sums: ArrayLike, tokens: ArrayLike, *, resamples: int, seed: int) -> Score:
    """A number of a covariance with its interval, from `Influence.of` (images,) and the tokens of each image.

    n: how many images. No interval of fewer than two.
    """
    both = np.stack([np.asarray(sums, dtype=np.float64), np.asarray(tokens, dtype=np.float64)], axis=1)
    n = len(both)
    drawn = np.full(resamples, np.nan)
    if n > 1 and np.isfinite(both).all() and np.isfinite(value):
        moved = resampled_sums(both, resamples=resamples, seed=seed)
        drawn = value + moved[:, 0] / moved[:, 1] - both[:, 0].sum() / both[:, 1].sum()
    return Score(value, *interval(drawn), n, n, drawn)


def components(spectrum: Floats, share: float) -> float:
    """How many of the leading shares of the variance add up to `share` (0..1); NaN where there is none.

    Raises:
        ValueError: for a share outside 0..1.
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share must lie in 0..1, not {share}")
    held = spectrum.cumsum()
    return float("nan") if np.isnan(held).any() else float(np.searchsorted(held, share - 1e-9) + 1)
