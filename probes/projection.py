"""Tokens on a plane, for looking: PCA at once, UMAP, t-SNE or PaCMAP where one waits for it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.principal import principal

METHODS = ("pca", "umap", "tsne", "pacmap")
FIRST = 50
"""Principal components that the slower methods start from: the rest is mostly noise and costs time."""
FEWEST = 4
"""Tokens that make a plane worth looking at."""


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
    UMAP's. PCA takes neither. Everything runs in one thread: the last digits of a sum depend on how it was
    divided, and these methods make other pictures of them.

    Raises:
        ValueError: for an unknown method, fewer than four tokens, a state that is not finite, or more
            neighbours than there are other tokens (of t-SNE: than a third of them, and one).
    """
    x = np.asarray(states, dtype=np.float32)
    if method not in available():
        raise ValueError(f"{method!r} is not among the methods that are installed: {', '.join(available())}")
    if x.ndim != 2 or len(x) < FEWEST or not np.isfinite(x).all():
        raise ValueError(f"states must be finite and have shape (four or more tokens, width), not {x.shape}")
    if method == "pca":
        found = principal(x, 2)
        lacking = 2 - found.points.shape[1]
        shares = np.pad(found.shares, (0, lacking))
        return Projection(np.pad(found.points, ((0, 0), (0, lacking))), (float(shares[0]), float(shares[1])))
    if not 2 <= neighbours <= (most := most_neighbours(method, len(x))):
        raise ValueError(f"{method} of {len(x)} tokens takes 2 to {most} neighbours, not {neighbours}")
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is chosen here on purpose: a seed, neighbours found before
        points = np.asarray(_placed(principal(x, FIRST).points, method, seed, neighbours, min_dist))
    return Projection(points.astype(np.float32), (float("nan"), float("nan")))


def most_neighbours(method: str, tokens: int) -> int:
    """The most neighbours that a method can ask for among so many tokens."""
    return (tokens - 1) // 3 if method == "tsne" else tokens - 1


def _placed(
    x: NDArray[np.float32], method: str, seed: int, neighbours: int, min_dist: float
) -> NDArray[np.floating]:
    if method == "umap":
        from umap import UMAP

        # Exact neighbours: found sooner than UMAP's own search of them is compiled.
        near, far = nearest(x, neighbours)
        return np.asarray(
            UMAP(
                n_neighbors=neighbours,
                min_dist=min_dist,
                precomputed_knn=(near, far, None),
                init="pca" if x.shape[1] > 1 else "random",
                random_state=seed,
                n_jobs=1,
            ).fit_transform(x)
        )
    if method == "tsne":
        from sklearn.manifold import TSNE

        start = "pca" if x.shape[1] > 1 else "random"
        return np.asarray(TSNE(perplexity=neighbours, init=start, random_state=seed).fit_transform(x))
    from pacmap import PaCMAP  # type: ignore[import-not-found,unused-ignore]

    return np.asarray(PaCMAP(n_neighbors=neighbours, random_state=seed, apply_pca=False).fit_transform(x))


def nearest(x: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Each token first among its own ``count`` nearest, and their Euclidean distances: (n, count) both."""
    x = x - x.mean(axis=0)
    square = (x * x).sum(axis=1)
    near = np.empty((len(x), count), np.int64)
    far = np.empty((len(x), count), np.float32)
    for start in range(0, len(x), 1024):
        rows = slice(start, start + 1024)
        apart = square[rows, None] + square[None] - 2 * (x[rows] @ x.T)
        own = np.arange(len(apart))
        apart[own, own + start] = -1  # whatever rounding says, and also where another token is the same
        some = np.argpartition(apart, count - 1, axis=1)[:, :count]
        order = np.take_along_axis(apart, some, axis=1).argsort(axis=1, kind="stable")
        near[rows] = np.take_along_axis(some, order, axis=1)
        far[rows] = np.sqrt(np.maximum(np.take_along_axis(apart, near[rows], axis=1), 0))
    return near, far
