"""What the nearest neighbours tell: a reader without parameters, beside the linear one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.bootstrap import Score, mean_score, share
from probes.similarity import unit

COUNTS = (1, 5, 20)
"""Numbers of neighbours that validation chooses from."""
CELLS = 2**24
"""Cosines that are held at once: 64 MB."""
ROWS = 4096
"""Rows that are centred at once."""


@dataclass(frozen=True)
class NeighbourProbe:
    """Outcome on the test split: top-1 accuracy, and the number of neighbours that validation chose."""

    accuracy: Score
    neighbours: int


def nearest(
    train: tuple[ArrayLike, ArrayLike],
    validation: tuple[ArrayLike, ArrayLike],
    test: tuple[ArrayLike, ArrayLike],
    *,
    counts: Sequence[int] = COUNTS,
    resamples: int = 1000,
    seed: int = 0,
) -> NeighbourProbe:
    """K nearest neighbours by cosine, each with one vote, ties to the smallest label.

    Features are centred on the training mean first: hidden states share one large direction that would
    leave all cosines near 1. The number of neighbours with the best validation accuracy is taken, the
    smallest winning ties.

    Args:
        train: features (n, width) and integer labels (n,) >= 0, a row for each image; likewise `validation`
            and `test`.
        counts: numbers of neighbours to choose from; those above n are left out.
        resamples: bootstrap resamples of the test images.
        seed: of the bootstrap.

    Raises:
        ValueError: when a split is empty, shapes disagree, a feature is not finite, or no count is left.
    """
    (x, y), (xv, yv), (xt, yt) = (_split(*split) for split in (train, validation, test))
    mean = x.mean(axis=0, dtype=np.float64)
    known, asked, last = (_directions(each, mean) for each in (x, xv, xt))
    left = sorted(k for k in counts if 1 <= k <= len(x))
    if not left:
        raise ValueError(f"none of {tuple(counts)} neighbours are among {len(x)} images")
    shares = [(labels == yv).mean() for labels in _voted(known, y, asked, left)]
    chosen = left[int(np.argmax(shares))]
    (labels,) = _voted(known, y, last, [chosen])
    return NeighbourProbe(share(mean_score(labels == yt, resamples=resamples, seed=seed)), chosen)


def _voted(
    x: NDArray[np.float32], y: NDArray[np.int64], queries: NDArray[np.float32], counts: Sequence[int]
) -> list[NDArray[np.int64]]:
    """The labels that each number of neighbours votes for, (queries,) each."""
    classes, most = int(y.max()) + 1, max(counts)
    found: list[list[NDArray[np.int64]]] = [[] for _ in counts]
    rows = max(1, CELLS // len(x))
    for first in range(0, len(queries), rows):
        near = y[_best(queries[first : first + rows] @ x.T, most)]
        for k, parts in zip(counts, found, strict=True):
            votes = np.zeros((len(near), classes), dtype=np.int64)
            np.add.at(votes, (np.arange(len(near))[:, None], near[:, :k]), 1)
            parts.append(votes.argmax(axis=1))
    return [np.concatenate(parts) for parts in found]


def _best(cosine: NDArray[np.float32], most: int) -> NDArray[np.int64]:
    """The places of the largest values of each row, largest first, the first of equal ones: (rows, most)."""
    places = np.argpartition(-cosine, most - 1, axis=1)[:, :most]
    last = np.take_along_axis(cosine, places, axis=1).min(axis=1, keepdims=True)
    # A partition takes any of those that are as large as the last one; where there are more, sort it all.
    tied = (cosine >= last).sum(axis=1) > most
    places[tied] = np.argsort(-cosine[tied], axis=1, kind="stable")[:, :most]
    order = np.lexsort((places, -np.take_along_axis(cosine, places, axis=1)), axis=1)
    return np.take_along_axis(places, order, axis=1)


def _directions(x: NDArray[np.floating[Any]], mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """Unit vectors of what is left without the mean, some rows at a time: only they are held besides x."""
    out = np.empty(x.shape, dtype=np.float32)
    for first in range(0, len(x), ROWS):
        out[first : first + ROWS] = unit(x[first : first + ROWS] - mean)
    return out


def _split(features: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.floating[Any]], NDArray[np.int64]]:
    x, y = np.asarray(features), np.asarray(labels, dtype=np.int64)
    x = x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)
    if x.ndim != 2 or y.shape != x.shape[:1] or not len(y) or y.min() < 0:
        raise ValueError(f"features {x.shape} and labels {y.shape} do not belong together")
    if not np.isfinite(x).all():
        raise ValueError(f"{int((~np.isfinite(x)).any(axis=1).sum())} rows hold NaN or infinity")
    return x, y
