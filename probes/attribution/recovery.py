"""How much of the damage to an answer is undone, or done, by exchanging states between two runs.

Causal tracing (Meng et al., 2022, "Locating and editing factual associations in GPT", section 2.1) looks at a
quantity m of the answer, such as its log-probability, in three runs: the clean one, the degraded one, and the
degraded one into which some states of the clean one were put back. The total effect is
m(clean) - m(degraded), the indirect effect of the states m(patched) - m(degraded). Their quotient is 0 where
the states change nothing and 1 where they undo all of the damage (the normalised effect of Zhang and Nanda,
2024, "Towards best practices of activation patching"). The other way round, states of the degraded
run in the clean one, the same quotient says how much of the damage they do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.bootstrap import Score, draws, interval, resampled_mean

Floats = NDArray[np.float64]
HALF = 0.5
"""The share of the damage whose place is told."""
CHANGED = 1e-6
"""Total effects smaller than this are none: what is left of one is rounding."""


def recovery(base: ArrayLike, other: ArrayLike, patched: ArrayLike) -> Floats:
    """(patched - base) / (other - base), float64, broadcast: 0 stays at base, 1 arrives at other.

    base: the run into which states are put; other: the run that they are from; patched: with them. All of one
    quantity. NaN where base and other do not differ, so that there is nothing to bring about.
    """
    b, o, p = (np.asarray(x, dtype=np.float64) for x in (base, other, patched))
    total = o - b
    p, b, total = np.broadcast_arrays(p, b, total)
    found = np.full(total.shape, np.nan)
    np.divide(p - b, total, out=found, where=np.abs(total) > CHANGED)
    return found


def mean_recovery(
    base: ArrayLike, other: ArrayLike, patched: ArrayLike, *, resamples: int = 1000, seed: int = 0
) -> list[Score]:
    """Recovery over many images: the mean indirect effect by the mean total effect, with 95 % intervals.

    A quotient of means, not a mean of quotients: images whose answer was hardly damaged would fill the latter
    with noise (ours). Images are resampled, rows in pairs. Where the interval of the mean total effect holds
    0, the damage of these images is not known to go one way, and there is nothing to recover: value and
    interval are NaN.

    Args:
        base, other: (images,), as in `recovery`; NaN leaves an image out.
        patched: (rows, images), a row for each place whose states are exchanged; NaN leaves one out of its
            row.

    Raises:
        ValueError: on shapes that do not fit.
    """
    b, o, p = (np.asarray(x, dtype=np.float64) for x in (base, other, patched))
    if b.ndim != 1 or b.shape != o.shape or p.ndim != 2 or p.shape[1] != len(b):
        raise ValueError(f"shapes do not fit: base {b.shape}, other {o.shape}, patched {p.shape}")
    counts = draws(len(b), resamples, seed)
    out = []
    for row in p:
        known = np.isfinite(b) & np.isfinite(o) & np.isfinite(row)
        out.append(_quotient(np.where(known, row - b, np.nan), np.where(known, o - b, np.nan), counts))
    return out


def _quotient(indirect: Floats, total: Floats, counts: Floats) -> Score:
    """The quotient of the means of two rows (images,) with the same gaps, with its interval."""
    n, images = int(np.isfinite(total).sum()), len(total)
    nothing = Score(np.nan, np.nan, np.nan, n, images, np.full(len(counts), np.nan))
    if n == 0 or abs(below := float(np.nanmean(total))) <= CHANGED:
        return nothing
    value = float(np.nanmean(indirect)) / below
    if n < 2:
        return Score(value, np.nan, np.nan, n, images, nothing.samples)
    totals = resampled_mean(total, counts)
    low, high = interval(totals[np.isfinite(totals)])
    if low <= 0 <= high:
        return nothing
    # Below it the resamples that drew almost no damage are left out with those that drew no image.
    usable = np.isfinite(totals) & (np.abs(totals) > CHANGED)
    samples = np.full(len(counts), np.nan)
    np.divide(resampled_mean(indirect, counts), totals, out=samples, where=usable)
    return Score(value, *interval(samples[usable]), n, images, samples)


def crossing(curve: ArrayLike, level: float = HALF) -> float:
    """Where a curve over stages first falls below a level, in stages from 0, straight between two of them.

    0 where it begins below; NaN where it never falls below, or is not known up to there. Of a recovery curve
    over language layers: from there on, exchanging all visual tokens moves less than half of the damage, so
    half of it has left the image (ours).
    """
    values = np.asarray(curve, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"a curve has one axis, not {values.ndim}")
    for place, value in enumerate(values):
        if np.isnan(value):
            return float("nan")
        if value < level:
            if place == 0:
                return 0.0
            before = values[place - 1]
            return float(place - 1 + (before - level) / (before - value))
    return float("nan")


def mean_crossing(scores: Sequence[Score], level: float = HALF) -> tuple[float, float, float]:
    """`crossing` of a mean curve with its 95 % interval over the curves' resamples: (value, low, high).

    The scores are those of one curve, stage by stage, and were drawn in pairs. No interval where a tenth of
    the resampled curves or more cross nowhere (ours): it would be that of the others alone.
    """
    value = crossing([score.value for score in scores], level)
    curves = np.stack([score.samples for score in scores], axis=1)
    found = np.array([crossing(curve, level) for curve in curves])
    known = np.isfinite(found)
    if not np.isfinite(value) or known.mean() <= 0.9:
        return value, float("nan"), float("nan")
    return (value, *interval(found[known]))


def relative_change(before: ArrayLike, after: ArrayLike) -> Floats:
    """(p_after - p_before) / p_before of log-probabilities in nats: -1 takes all of it, 0 nothing.

    The measure of attention knockout in Geva et al. (2023, "Dissecting recall of factual associations in
    auto-regressive language models"), there in percent.
    """
    return np.expm1(np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64))


def windows(layers: int, width: int) -> list[range]:
    """For each of `layers` layers, numbered from 1, the layers of the window around it, cut at the ends.

    So attention knockout slides over the layers (Geva et al., 2023). Of an even width, which has no middle,
    one layer more lies after it than before it (ours).

    Raises:
        ValueError: without a layer, or for a width below 1.
    """
    if layers < 1 or width < 1:
        raise ValueError(f"need a layer and a width of one at least, not {layers} and {width}")
    before = (width - 1) // 2
    return [
        range(max(1, middle - before), min(layers, middle - before + width - 1) + 1)
        for middle in range(1, layers + 1)
    ]


def usual_width(layers: int) -> int:
    """How many layers are blocked at once where nobody says: the odd number next to a fifth, at least 3.

    Geva et al. (2023) name widths and no rule; this one is ours.
    """
    return max(3, 2 * round((layers / 5 - 1) / 2) + 1)
