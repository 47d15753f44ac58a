"""Do patches of one object still look alike, and unlike the rest?

With a mask: intra-object cohesion, inter-object coupling and their contrast. Without one: neighbours against
distant patches, and Moran's I. Source of the idea: PRe (arXiv 2603.20808, section on patch structure). It
names the quantities without formulas; those below are our operationalisation: the cosine as similarity, every
region weighing the same in cohesion, every pair of tokens the same in coupling, and kinds of background being
regions as objects are.

Everything is computed for each image alone; averages over images come afterwards (`summarise`). A zero token
has cosine 0 to every other one; a token that is not finite makes whatever it takes part in NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.bootstrap import Score, interval, mean_score
from probes.similarity import ROUNDING, unit

Floats = NDArray[np.float64]
STRUCTURE = ("cohesion", "coupling", "contrast ratio", "contrast difference")
SURROUNDINGS = ("neighbour cosine", "far cosine", "neighbour - far", "Moran's I")


@dataclass(frozen=True)
class Structure:
    """Patch structure of N images; every field float64 (N,), NaN where it is undefined.

    cohesion: mean over regions of the mean cosine of two different tokens of that region, -1..1. Undefined
        without a region that is large enough.
    coupling: mean cosine over all pairs of tokens from different regions, -1..1. Undefined with fewer than
        two regions, as in a picture of one object alone.
    chance: mean cosine over all pairs of labelled tokens. It is what coupling, and each region's part of
        cohesion, are on average when the labels are permuted: the exact permutation baseline of both.
    """

    cohesion: Floats
    coupling: Floats
    chance: Floats

    @property
    def ratio(self) -> Floats:
        """Semantic contrast ratio, cohesion / coupling; chance is about 1. NaN where coupling <= 0."""
        return contrast_ratio(self.cohesion, self.coupling)

    @property
    def difference(self) -> Floats:
        """Contrast as a difference, cohesion - coupling, -2..2; chance is 0; defined where ratio is not."""
        return self.cohesion - self.coupling


def contrast_ratio(cohesion: ArrayLike, coupling: ArrayLike) -> Floats:
    """The quotient cohesion / coupling, NaN where coupling is not positive and it would say nothing."""
    a, b = np.broadcast_arrays(np.asarray(cohesion, dtype=np.float64), np.asarray(coupling, dtype=np.float64))
    return np.divide(a, b, out=np.full(a.shape, np.nan), where=b > 0)


def structure(states: ArrayLike, regions: ArrayLike, *, minimum: int = 2, centre: bool = False) -> Structure:
    """Cohesion and coupling of each image.

    With u_i = x_i / |x_i|, regions R_1..R_K of n_k tokens and S_k = sum of u_i over R_k (so no matrix of
    tokens by tokens is needed):

        cohesion = 1/K sum_k (|S_k|^2 - sum_{i in R_k} |u_i|^2) / (n_k (n_k - 1))
        coupling = (|sum_k S_k|^2 - sum_k |S_k|^2) / (n^2 - sum_k n_k^2)

    Args:
        states: (N, tokens, width) or (tokens, width).
        regions: integers (N, tokens) or (tokens,), negative for tokens that belong nowhere (see
            `token_labels`).
        minimum: regions with fewer tokens are left out of both, at least 2.
        centre: subtract each image's mean token first.

    Returns:
        Fields of length N (1 for a single image). Cohesion needs one region, coupling two.

    Raises:
        ValueError: when shapes disagree or `minimum` is below 2.
    """
    x, labels = _batch(states, regions, minimum)
    u = unit(x, centre=centre)
    out = np.full((3, len(u)), np.nan)
    for i, (vectors, names) in enumerate(zip(u, labels, strict=True)):
        members = _membership(names, minimum)
        kept = members.any(axis=0)
        out[:, i] = _from_membership(vectors[kept], members[None][..., kept])[:, 0]
    return Structure(*out)


def permuted_structure(
    states: ArrayLike,
    regions: ArrayLike,
    *,
    permutations: int = 200,
    seed: int = 0,
    minimum: int = 2,
    centre: bool = False,
) -> Structure:
    """The same quantities of ONE image after permuting its labels; fields of length `permutations`.

    Only labelled tokens of regions that count are permuted, so region sizes stay as they are. The same seed
    gives the same permutations for every stage of a model.

    Raises:
        ValueError: as `structure` does, for several images, and without a permutation.
    """
    x, labels = _batch(states, regions, minimum)
    _check_permutations(len(x), permutations)
    members = _membership(labels[0], minimum)
    kept = members.any(axis=0)
    rng = np.random.default_rng(seed)
    vectors = unit(x[0], centre=centre)[kept]
    if vectors.shape[0] < vectors.shape[1]:
        # Only inner products matter: in the basis of a QR decomposition the vectors are shorter.
        vectors = np.asarray(np.linalg.qr(vectors.T, mode="r")).T
    shuffled = np.stack([members[:, kept][:, rng.permutation(int(kept.sum()))] for _ in range(permutations)])
    return Structure(*_from_membership(vectors, shuffled))


def _check_permutations(images: int, permutations: int) -> None:
    if images != 1:
        raise ValueError(f"permutations are drawn for one image at a time, not for {images}")
    if permutations < 1:
        raise ValueError(f"need at least one permutation, not {permutations}")


def _batch(
    states: ArrayLike, regions: ArrayLike, minimum: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    x = np.asarray(states, dtype=np.float32)
    labels = np.asarray(regions, dtype=np.int64)
    if x.ndim == 2 and labels.ndim == 1:
        x, labels = x[None], labels[None]
    if x.ndim != 3 or labels.shape != x.shape[:2]:
        raise ValueError(f"regions {labels.shape} do not name the tokens of states {x.shape}")
    if minimum < 2:
        raise ValueError(f"a region needs at least 2 tokens to be alike, not {minimum}")
    return x, labels


def _membership(labels: NDArray[np.int64], minimum: int) -> NDArray[np.bool_]:
    """(regions, tokens): which token belongs to which region that is large enough."""
    names, sizes = np.unique(labels[labels >= 0], return_counts=True)
    return labels[None, :] == names[sizes >= minimum][:, None]


def _from_membership(u: NDArray[np.float32], members: NDArray[np.bool_]) -> Floats:
    """(3, P): cohesion, coupling, chance for P memberships (P, regions, tokens) of an image's unit tokens."""
    p, k, _ = members.shape
    out = np.full((3, p), np.nan)
    if k == 0:
        return out
    weights = members.astype(np.float64)
    vectors = u.astype(np.float64)
    sums = weights @ vectors
    sizes = weights.sum(axis=2)
    selves = weights @ (vectors * vectors).sum(axis=1)
    squares = (sums * sums).sum(axis=2)
    out[0] = ((squares - selves) / (sizes * (sizes - 1))).mean(axis=1)
    n = sizes.sum(axis=1)
    whole = (sums.sum(axis=1) ** 2).sum(axis=1)
    if k > 1:
        out[1] = (whole - squares.sum(axis=1)) / (n**2 - (sizes**2).sum(axis=1))
    out[2] = (whole - selves.sum(axis=1)) / (n * (n - 1))
    return out


@dataclass(frozen=True)
class Surroundings:
    """Spatial order of N images without any mask; every field float64 (N,).

    near: mean cosine of patches that share an edge.
    far: mean cosine of patches at least half the grid's longer side apart (Euclidean, in patches).
    moran: Moran's I of the unit vectors, about -1 (checkerboard) .. 1 (smooth); chance is -1 / (tokens - 1).
    chance: mean cosine over all pairs, which near and far both are on average for shuffled places.
    """

    near: Floats
    far: Floats
    moran: Floats
    chance: Floats

    @property
    def gap(self) -> Floats:
        """How much more neighbours agree than distant patches, near - far; chance is 0."""
        return self.near - self.far


def surroundings(states: ArrayLike, rows: int, cols: int, *, centre: bool = False) -> Surroundings:
    """Neighbour-against-far cosine and Moran's I of each image.

    Moran's I for vectors z_i = u_i - mean(u), rook neighbours, E edges:

        I = N / (2 E) * (2 sum_{edges ij} z_i . z_j) / sum_i |z_i|^2

    Unit vectors rather than raw states, because one token of huge norm would otherwise decide it.
    For one feature this is Moran (1950, Biometrika 37); the sum over features is the usual multivariate form.
    NaN where all unit vectors are the same up to the rounding of float32.

    Args:
        states: (N, rows * cols, width) or (rows * cols, width), row-major.
        rows: rows of the grid, which needs at least two patches; a single row or column is a line of them.
        cols: columns of the grid.
        centre: subtract each image's mean token before the cosines.

    Raises:
        ValueError: when the grid does not fit the states or is a single patch.
    """
    x = np.asarray(states, dtype=np.float32)
    x = x[None] if x.ndim == 2 else x
    _check_grid(x, rows, cols)
    return _surroundings(unit(x, centre=centre), rows, cols, [None])


def _check_grid(x: NDArray[np.float32], rows: int, cols: int) -> None:
    if x.ndim != 3 or x.shape[1] != rows * cols or rows * cols < 2:
        raise ValueError(f"a grid of {rows} x {cols} patches does not fit states {x.shape}")


def permuted_surroundings(
    states: ArrayLike, rows: int, cols: int, *, permutations: int = 200, seed: int = 0, centre: bool = False
) -> Surroundings:
    """The same of ONE image after permuting the places of its tokens; fields of length `permutations`.

    Raises:
        ValueError: as `surroundings` does, for several images, and without a permutation.
    """
    x = np.asarray(states, dtype=np.float32)
    _check_permutations(1 if x.ndim == 2 else len(x), permutations)
    x = x.reshape(-1, x.shape[-1])
    _check_grid(x[None], rows, cols)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(x)) for _ in range(permutations)]
    return _surroundings([unit(x, centre=centre)], rows, cols, orders)


def _surroundings(
    images: Iterable[NDArray[np.float32]], rows: int, cols: int, orders: Sequence[NDArray[np.int64] | None]
) -> Surroundings:
    """Each image's unit tokens (tokens, width) under each order of them (None: as they are)."""
    tokens = rows * cols
    number = np.arange(tokens).reshape(rows, cols)
    first = np.concatenate([number[1:].ravel(), number[:, 1:].ravel()])
    second = np.concatenate([number[:-1].ravel(), number[:, :-1].ravel()])
    place = np.stack(np.divmod(np.arange(tokens), cols), axis=1)
    apart = ((place[:, None] - place[None]) ** 2).sum(axis=2)
    far_pairs = (apart >= (max(rows, cols) / 2) ** 2).astype(np.float64)
    pairs = float(far_pairs.sum())

    found = []
    for u in images:
        # In float64: what is left after centring nearly parallel tokens is smaller than float32 resolves.
        exact = u.astype(np.float64)
        gram = exact @ exact.T
        mean = gram.mean(axis=0, dtype=np.float64)
        # Inner products of the centred vectors, and what the whole image has of each.
        spread = float(np.trace(gram)) - tokens * float(mean.mean())
        chance = (tokens**2 * float(mean.mean()) - float(np.trace(gram))) / (tokens * (tokens - 1))
        for order in orders:
            i, j = (first, second) if order is None else (order[first], order[second])
            products = gram[i, j].astype(np.float64)
            centred = products - mean[i] - mean[j] + mean.mean()
            moved = gram if order is None else gram[np.ix_(order, order)]
            far = float(np.vdot(moved, far_pairs)) / pairs
            moran = tokens / len(first) * centred.sum() / spread if spread > ROUNDING**2 * tokens else np.nan
            found.append((products.mean(), far, moran, chance))
    return Surroundings(*np.array(found, dtype=np.float64).reshape(-1, 4).T)


@dataclass(frozen=True)
class Average(Score):
    """A mean over images, with what it would be on average for permuted labels."""

    chance: float


def summarise(per_image: Structure, *, resamples: int = 1000, seed: int = 0) -> dict[str, Average]:
    """Averages over images, with bootstrap intervals over images, for each name in STRUCTURE.

    Cohesion, coupling and difference are means over the images that have both. The ratio is the ratio of the
    mean cohesion to the mean coupling: a mean of per-image ratios is ruled by the few images whose coupling
    is close to 0. It has an interval where coupling is positive in every resample that drew such an image.
    """
    both = np.isfinite(per_image.cohesion) & np.isfinite(per_image.coupling)
    cohesion, coupling, pairs = (
        mean_score(np.where(both, values, np.nan), resamples=resamples, seed=seed)
        for values in (per_image.cohesion, per_image.coupling, per_image.chance)
    )

    def average(value: float, samples: Floats, by_chance: float) -> Average:
        drawn = interval(samples[np.isfinite(coupling.samples)])
        return Average(value, *drawn, cohesion.n, cohesion.images, samples, by_chance)

    ratio = contrast_ratio(cohesion.samples, coupling.samples)
    return {
        "cohesion": average(cohesion.value, cohesion.samples, pairs.value),
        "coupling": average(coupling.value, coupling.samples, pairs.value),
        "contrast ratio": average(
            float(contrast_ratio(cohesion.value, coupling.value)),
            ratio,
            float(contrast_ratio(pairs.value, pairs.value)),
        ),
        "contrast difference": average(
            cohesion.value - coupling.value,
            cohesion.samples - coupling.samples,
            0.0 if cohesion.n else np.nan,
        ),
    }
