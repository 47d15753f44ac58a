"""Classes as clouds of points, for readers to tell apart."""

from __future__ import annotations

import numpy as np

Split = tuple[np.ndarray, np.ndarray]
"""Features float64 (n, width) and classes (n,)."""


def blobs(n: int, classes: int, width: int, spread: float, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, width))
    y = rng.integers(0, classes, n)
    return centres[y] + spread * rng.normal(size=(n, width)) + 4.0, y
