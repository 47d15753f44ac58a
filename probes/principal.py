"""Principal components of many wide states, quickly: nobody should wait for a first picture.

numpy alone: importing scikit-learn takes longer than what is computed here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

SMALL = 500
"""Up to so many tokens or dimensions, whichever is less, all components come from one square matrix."""
CERTAIN = 2
"""Components that are iterated until they are exact to ``TOLERANCE``: those that are looked at."""
TOLERANCE = 1e-5
"""Of their residual ‖XᵀXv - λv‖, as a share of the largest λ."""
STEPS = 40
EXTRA = 10
"""Directions that are carried along beyond those asked for: they make the others converge."""


@dataclass(frozen=True)
class Principal:
    """Centred tokens in the coordinates of their first principal components, and what these hold.

    points: float32 (n, k), k at most the components asked for, fewer where tokens or dimensions are fewer.
    shares: float64 (k,), the share of the variance on each; 0 where all tokens are the same.
    """

    points: NDArray[np.float32]
    shares: NDArray[np.float64]


def principal(states: ArrayLike, most: int = 2, *, seed: int = 0) -> Principal:
    """The first ``most`` principal components of tokens (n, width).

    Small sets are solved whole. Larger ones by block Krylov iteration with Rayleigh-Ritz (Musco & Musco,
    NeurIPS 2015), in float32, until the first two components are exact to ``TOLERANCE``; the further ones,
    which other methods start from, are as good as they are by then. Where the spectrum is too flat to get
    there, the whole decomposition is made. A component's sign makes its largest coordinate positive.

    Raises:
        ValueError: for states that are not finite, or of another shape.
    """
    x = np.asarray(states, dtype=np.float32)
    if x.ndim != 2 or not x.size or most < 1:
        raise ValueError(f"states must have shape (tokens, width), not {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("states must be finite")
    x = x - x.mean(axis=0, dtype=np.float64).astype(np.float32)
    # Row by row: one sum of so many float32 numbers would be good to four digits only.
    total = float(sum(float(np.vdot(row, row)) for row in x))
    count = min(most, *x.shape)
    found = _krylov(x, count, seed) if min(x.shape) > max(SMALL, 2 * (count + EXTRA)) else None
    points, spread = found or _whole(x, count)
    signs = np.sign(points[np.abs(points).argmax(axis=0), np.arange(count)])
    points = points * np.where(signs == 0, 1, signs)
    return Principal(points.astype(np.float32), spread / total if total > 0 else np.zeros(count))


def _whole(x: NDArray[np.float32], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and squared singular values, from the smaller of the two square matrices in float64."""
    wide = x.astype(np.float64)
    tall = len(wide) > wide.shape[1]
    values, vectors = np.linalg.eigh(wide.T @ wide if tall else wide @ wide.T)
    values, vectors = np.maximum(values[::-1][:count], 0), vectors[:, ::-1][:, :count]
    return (wide @ vectors if tall else vectors * np.sqrt(values)), values


def _krylov(
    x: NDArray[np.float32], count: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """The same by iteration; None where the leading components did not settle."""
    block = count + EXTRA
    fresh = np.random.default_rng(seed).standard_normal((x.shape[1], block), dtype=np.float32)
    fresh = np.linalg.qr(fresh)[0]
    steps = min(STEPS, min(x.shape) // (2 * block))
    basis = np.empty((x.shape[1], steps * block), np.float32)
    image = np.empty((len(x), steps * block), np.float32)
    for step in range(steps):
        here, upto = slice(step * block, (step + 1) * block), (step + 1) * block
        basis[:, here] = fresh
        image[:, here] = x @ fresh
        seen, span = image[:, :upto], basis[:, :upto]
        values, vectors = np.linalg.eigh((seen.T @ seen).astype(np.float64))
        values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
        # What XᵀX makes of the span leaves it only through the last block: that part is the residual.
        after = x.T @ image[:, here]
        for _ in range(2):
            after -= span @ (span.T @ after)
        fresh, rest = np.linalg.qr(after)
        residual = np.linalg.norm(rest @ vectors[here, : min(CERTAIN, count)], axis=0)
        if step and residual.max() <= TOLERANCE * values[0]:
            return (seen @ vectors.astype(np.float32)).astype(np.float64), np.maximum(values, 0)
    return None
