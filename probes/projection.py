"""Tokens on a plane, for looking: PCA at once, UMAP, t-SNE or PaCMAP where one waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import ArrayLike, NDArray

METHODS = ("pca", "umap", "tsne", "pacmap")
FIRST = 50
"""Principal components that the slower methods start from: the rest is mostly noise and costs time."""


@dataclass(frozen=True)
class Projection:
    """Points of a plane, float32 (n, 2), and the share of the variance on each axis (PCA; NaN otherwise)."""

    points: NDArray[np.float32]
    shares: tuple[float, float]


def available() -> tuple[str, ...]:
    """The methods whose packages are installed; PaCMAP's is not required."""
    return tuple(name for name in METHODS if name != "pacmap" or find_spec("pacmap"))


def project(
    states: ArrayLike, method: str = "pca", *, seed: int = 0, neighbours: int = 15, min_dist: float = 0.1
) -> Projection:
    """Tokens (n, width) on a plane; the same seed and versions give the same points.

    Distances between far clusters, sizes and densities mean little under all methods but PCA (Wattenberg et
    al., Distill 2016). `neighbours` is UMAP's and PaCMAP's number of them and t-SNE's perplexity; `min_dist`
    UMAP's.

    Raises:
        ValueError: for an unknown method, fewer than four tokens, or a state that is not finite.
    """
    x = np.asarray(states, dtype=np.float32)
    if method not in available():
        raise ValueError(f"{method!r} is not among the methods that are installed: {', '.join(available())}")
    if x.ndim != 2 or len(x) < 4 or not np.isfinite(x).all():
        raise ValueError(f"states must be finite and have shape (four or more tokens, width), not {x.shape}")
    points, shares = _principal(x, 2 if method == "pca" else FIRST)
    if method == "pca":
        return Projection(points, (float(shares[0]), float(shares[1])))
    near = min(neighbours, len(x) - 1)
    if method == "umap":
        from umap import UMAP

        found = UMAP(n_neighbors=near, min_dist=min_dist, random_state=seed, n_jobs=1).fit_transform(points)
    elif method == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(float(neighbours), (len(x) - 1) / 3)
        found = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(points)
    else:
        from pacmap import PaCMAP  # type: ignore[import-not-found,unused-ignore]

        found = PaCMAP(n_neighbors=near, random_state=seed, apply_pca=False).fit_transform(points)
    return Projection(np.asarray(found, dtype=np.float32), (float("nan"), float("nan")))


def _principal(x: NDArray[np.float32], most: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The first principal components, at least two columns, and their shares of the variance."""
    from sklearn.decomposition import PCA

    count = min(most, *x.shape)
    # Exact whatever the spectrum: Arnoldi iterations where a whole decomposition would take seconds.
    large = min(x.shape) > 500 and count < min(x.shape)
    found = PCA(count, svd_solver="arpack" if large else "full", random_state=0)
    points = found.fit_transform(x)
    shares = np.nan_to_num(found.explained_variance_ratio_)  # all tokens may be the same
    lacking = max(0, 2 - points.shape[1])
    return np.pad(points, ((0, 0), (0, lacking))).astype(np.float32), np.pad(shares, (0, lacking))
