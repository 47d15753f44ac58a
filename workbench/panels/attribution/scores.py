"""Pointing over a collection, with intervals over its images and in pairs with chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from probes.bootstrap import Score, drop, mean_scores, share

if TYPE_CHECKING:
    from pandas import DataFrame

CHANCE, CENTRE, LARGEST = "chance", "centre", "largest thing"
BASELINES = {
    CHANCE: "a random cell",
    CENTRE: "the centre",
    LARGEST: "the largest thing",
}
"""What points without knowing the answer; the second needs no picture, the third its masks."""
MEASURES = {"pointing": "pointing accuracy ↑", "energy": "energy in the mask ↑"}


def scores(items: DataFrame, *, resamples: int, seed: int) -> DataFrame:
    """The table "pointing": a row for each measure, method and stage.

    Columns: measure, method, stage, value, low, high (95 % percentile interval over images, Wilson's where
    all or none hit), n, above, above_low, above_high (the paired difference to chance: to what a cell drawn
    at random scores in the same images, or for energy to the share of the image that the mask covers).
    """
    import pandas as pd

    names = list(dict.fromkeys(items["name"]))
    keys = list(dict.fromkeys(zip(items["method"], items["stage"], strict=True)))
    rows = []
    for measure in MEASURES:
        table = items.pivot_table(
            index=["method", "stage"], columns="name", values=measure, dropna=False, aggfunc="first"
        ).reindex(index=pd.MultiIndex.from_tuples(keys), columns=names)
        values = table.to_numpy(dtype=float)
        found = mean_scores(values, resamples=resamples, seed=seed)
        reference = found[keys.index((CHANCE, ""))]
        for (method, stage), score in zip(keys, found, strict=True):
            if score.n:
                rows.append(_row(measure, method, stage, score, reference))
    return pd.DataFrame(rows)


def _row(measure: str, method: str, stage: str, score: Score, reference: Score) -> dict[str, object]:
    above = drop(score, reference) if method != CHANCE else (np.nan, np.nan, np.nan)
    told = share(score) if measure == "pointing" else score
    return {
        "measure": measure,
        "method": method,
        "stage": stage,
        "value": told.value,
        "low": told.low,
        "high": told.high,
        "n": told.n,
        "above": above[0],
        "above_low": above[1],
        "above_high": above[2],
    }
