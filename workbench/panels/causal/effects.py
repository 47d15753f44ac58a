"""What single questions add up to: recovery by stage, and what blocked attention costs, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.attribution.recovery import mean_crossing, mean_recovery, relative_change
from probes.bootstrap import Score, mean_scores
from workbench.models.protocol import Stage
from workbench.panels.causal.config import ALL

if TYPE_CHECKING:
    from pandas import DataFrame

RECOVERED: dict[str, str] = {
    "log p": "log p of the clean answer",
    "difference": "the same, less log p of the degraded answer",
    "probability": "probability of the clean answer",
}
"""Quantities whose recovery is told, in words."""
BLOCKED: dict[str, str] = {
    "relative": "relative change of the answer's probability",
    "nats": "change of the answer's log-probability, nats",
}
"""The same of blocked attention."""
EVERY_LAYER = 0
"""In place of a layer: all of them are blocked at once."""


def recovered(
    items: DataFrame, patching: DataFrame, stages: Sequence[Stage], *, resamples: int, seed: int
) -> tuple[DataFrame, DataFrame]:
    """The tables "recovery" and "halves".

    "recovery": a row for each measure, direction, kind of tokens and stage: value, low, high (95 %), n and
    `total`, the mean total effect that is the whole. "halves": until which language layer more than half
    of it is moved by exchanging all visual tokens, with its interval.

    items: a row for each question, with "name" and the measures in both runs ("clean log p" …). patching:
    "item", "direction", "tokens", "stage", and the measures. An image counts by the mean of its own
    questions; images are resampled, all places with the same draws.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    halves: list[dict[str, Any]] = []
    owners, images = _owners(items)
    place = {stage.name: stage for stage in stages}
    for measure in RECOVERED:
        clean, degraded = (_measured(items, run, measure) for run in ("clean", "degraded"))
        for (direction, tokens), some in patching.groupby(["direction", "tokens"], sort=False):
            names = [name for name in place if (some["stage"] == name).any()]
            base, other = (degraded, clean) if direction == "restore" else (clean, degraded)
            moved = np.full((len(names), len(items)), np.nan)
            for row, name in enumerate(names):
                here = some[some["stage"] == name]
                moved[row, here["item"].to_numpy(int)] = _patched(here, measure)
            known = np.isfinite(moved).any(axis=0)
            b, o = (_by_image(np.where(known, v, np.nan)[None], owners, images)[0] for v in (base, other))
            scores = mean_recovery(b, o, _by_image(moved, owners, images), resamples=resamples, seed=seed)
            about = {"measure": measure, "direction": direction, "tokens": tokens}
            total = float(np.nanmean(o - b)) if np.isfinite(o - b).any() else np.nan
            rows += [
                about
                | {"stage": name, "band": place[name].band, "index": place[name].index}
                | _interval(score)
                | {"total": total}
                for name, score in zip(names, scores, strict=True)
            ]
            if tokens == ALL:
                halves += _half(about, names, scores)
    return pd.DataFrame(rows), pd.DataFrame(halves)


def _half(about: dict[str, Any], names: Sequence[str], scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Where the curve over the language layers falls below a half, in layers; nothing where it does not."""
    here = [(name, score) for name, score in zip(names, scores, strict=True) if name.startswith("llm ")]
    numbers = np.array([int(name.removeprefix("llm ")) for name, _ in here], dtype=float)
    if len(numbers) < 2:
        return []
    found = mean_crossing([score for _, score in here])
    if not np.isfinite(found[0]):
        return []
    value, low, high = np.interp(found, np.arange(len(numbers)), numbers)
    return [about | {"value": value, "low": low, "high": high, "n": here[0][1].n}]


def blocked(items: DataFrame, knockout: DataFrame, *, resamples: int, seed: int) -> DataFrame:
    """The table "blocked": a row for each measure, path and window of layers, with 95 % intervals.

    knockout: "item", "path", "layer" (the middle of the window, EVERY_LAYER for all), "first", "last",
    "before" and "after", the answer's log-probability without and with the block.
    """
    import pandas as pd

    owners, images = _owners(items)
    about, values = [], []
    for (path, layer, first, last), some in knockout.groupby(["path", "layer", "first", "last"], sort=False):
        before, after = some["before"].to_numpy(float), some["after"].to_numpy(float)
        for measure, column in (
            ("relative", relative_change(before, after)),
            ("nats", after - before),
        ):
            row = np.full(len(items), np.nan)
            row[some["item"].to_numpy(int)] = column
            values.append(_by_image(row[None], owners, images)[0])
            about.append({"measure": measure, "path": path, "layer": layer, "first": first, "last": last})
    if not about:
        return pd.DataFrame()
    scores = mean_scores(np.stack(values), resamples=resamples, seed=seed)
    return pd.DataFrame([row | _interval(score) for row, score in zip(about, scores, strict=True)])


def _measured(items: DataFrame, run: str, measure: str) -> np.ndarray:
    """A measure of every question in the clean or the degraded run."""
    if measure == "probability":
        return np.exp(items[f"{run} log p"].to_numpy(float))
    return items[f"{run} {measure}"].to_numpy(float)


def _patched(rows: DataFrame, measure: str) -> np.ndarray:
    return (
        np.exp(rows["log p"].to_numpy(float)) if measure == "probability" else rows[measure].to_numpy(float)
    )


def _owners(items: DataFrame) -> tuple[np.ndarray, int]:
    """The number of each question's image, and how many images there are."""
    places = {name: number for number, name in enumerate(dict.fromkeys(items["name"]))}
    return np.array([places[name] for name in items["name"]], dtype=int), len(places)


def _by_image(values: np.ndarray, owners: np.ndarray, images: int) -> np.ndarray:
    """The mean of each image's known values, (rows, questions) -> (rows, images), NaN where it has none."""
    known = np.isfinite(values)
    member = (owners[:, None] == np.arange(images)).astype(float)
    counts = known @ member
    return np.divide(
        np.where(known, values, 0.0) @ member, counts, out=np.full(counts.shape, np.nan), where=counts > 0
    )


def _interval(score: Score) -> dict[str, Any]:
    return {"value": score.value, "low": score.low, "high": score.high, "n": score.n}
