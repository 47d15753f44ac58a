"""The shape of all tokens of a data set, gathered batch by batch in memory that does not grow with them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

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

    def _spreads(self) -> bool:
        """Whether the tokens differ by more than rounding."""
        return bool(np.trace(self._products) > ROUNDING**2 * self._size)


def components(spectrum: Floats, share: float) -> float:
    """How many of the leading shares of the variance add up to `share` (0..1); NaN where there is none.

    Raises:
        ValueError: for a share outside 0..1.
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share must lie in 0..1, not {share}")
    held = spectrum.cumsum()
    return float("nan") if np.isnan(held).any() else float(np.searchsorted(held, share - 1e-9) + 1)
