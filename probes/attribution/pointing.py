"""Whether a map points at the thing that was asked about, where its mask is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.boxes import box_means

Floats = NDArray[np.float64]


def hits(boxes: ArrayLike, mask: ArrayLike, *, tolerance: float | None = None) -> NDArray[np.bool_]:
    """For each cell whether pointing at it hits the mask, bool (cells,).

    One points at the middle of a cell, and hits where the mask lies within `tolerance` pixels of it (Zhang et
    al. 2018, "Top-down neural attention by excitation backprop", section 4.1, with 15 pixels). The default is
    half the cell's longer side, the resolution of the map; ours.

    Args:
        boxes: (cells, 4), x0, y0, x1, y1 in pixels.
        mask: bool (H, W).
        tolerance: in pixels.
    """
    from scipy.ndimage import distance_transform_edt

    corners, inside = np.asarray(boxes, np.float64), np.asarray(mask, bool)
    if not inside.any():
        return np.zeros(len(corners), bool)
    far = distance_transform_edt(~inside)
    middle = (corners[:, :2] + corners[:, 2:]) / 2
    height, width = inside.shape
    x = np.clip(np.floor(middle[:, 0]), 0, width - 1).astype(int)
    y = np.clip(np.floor(middle[:, 1]), 0, height - 1).astype(int)
    within = (corners[:, 2:] - corners[:, :2]).max(axis=1) / 2 if tolerance is None else tolerance
    return np.asarray(far[y, x] <= within)


def pointing(values: ArrayLike, hit: ArrayLike) -> float:
    """The share of the map's largest cells that hit, 0 to 1; NaN where the map is the same everywhere.

    Mostly one cell is the largest, and this is 0 or 1. Where several are, one of them would be pointed at by
    chance: this is its expected score, which needs no draw (ours).
    """
    v, struck = np.asarray(values, np.float64).ravel(), np.asarray(hit, bool).ravel()
    known = np.isfinite(v)
    if not known.any() or np.ptp(v[known]) == 0:
        return float("nan")
    return float(struck[known & (v == v[known].max())].mean())


def shares(boxes: ArrayLike, mask: ArrayLike) -> Floats:
    """The share of each cell that the mask covers, float64 (cells,), 0 to 1; 0 for one outside the image."""
    return np.nan_to_num(box_means(np.asarray(mask, np.float64)[None], boxes)[0, :, 0])


def energy(values: ArrayLike, covered: ArrayLike) -> float:
    """The share of a map's positive values that lies in the mask, 0 to 1; NaN where none is positive.

    The energy-based pointing game of Wang et al. 2020 (Score-CAM, arXiv 1910.01279, section 4.3), there of
    maps that are positive anywhere. A cell that the mask covers in part counts in part.

    Args:
        values: (cells,).
        covered: (cells,), from `shares`.
    """
    v = np.nan_to_num(np.maximum(np.asarray(values, np.float64).ravel(), 0.0))
    total = float(v.sum())
    return float(v @ np.asarray(covered, np.float64).ravel()) / total if total > 0 else float("nan")


def random_map(cells: int, *, seed: int = 0) -> Floats:
    """A map that knows nothing: evenly drawn numbers, float64 (cells,), 0 to 1."""
    return np.random.default_rng((seed, 0xA77)).random(cells)


def chance(hit: ArrayLike) -> float:
    """What a map that knows nothing scores in `pointing` on the average: the share of cells that hit."""
    return float(np.asarray(hit, np.float64).mean())
