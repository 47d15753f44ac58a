"""What a state changes on average over a collection, with intervals over its images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from probes.bootstrap import Score, drop, mean_scores, share
from workbench.panels.interventions.config import OWN

if TYPE_CHECKING:
    from pandas import DataFrame

MEASURES: dict[str, str] = {
    "delta": "Δ log p of the own answer, nats",
    "flips": "share of answers that change",
    "truth delta": "Δ log p of the right answer, nats ↑",
    "accuracy": "share of right answers ↑",
    "accuracy change": "change in the share of right answers ↑",
    "right to wrong": "share turned from right to wrong",
    "wrong to right": "share turned from wrong to right ↑",
}
"""The measures of the table "effects", in words; all are compared with the own drawing by the same route."""
SHARES = ("flips", "accuracy", "right to wrong", "wrong to right")
"""Those that are shares of yes and no: all or none of them get Wilson's interval, not one without width."""


def effects(answers: DataFrame, *, resamples: int, seed: int) -> DataFrame:
    """The table "effects": a row for each measure, state and route.

    An image counts by the mean of its own questions, so that images and not questions are resampled; the same
    images are drawn for every state, so that intervals of differences are paired. Where nothing is known (no
    right answer), a measure has no row.

    `answers` has a row for each question (column item), state and route; column image: what is drawn again.

    Columns: measure, state, route, value, low, high (95 % percentile interval; Wilson's where a share is all
    or nothing, see `probes.bootstrap.share` and `drop`), n (images), questions.
    """
    import pandas as pd

    places = {image: number for number, image in enumerate(dict.fromkeys(answers["image"]))}
    rows, values = [], []
    for route in dict.fromkeys(answers["route"]):
        here = answers[answers["route"] == route]
        own = here[here["state"] == OWN].set_index("item")
        for state in dict.fromkeys(here["state"]):
            some = here[here["state"] == state].set_index("item")
            before = own.loc[some.index]
            for measure, column in _columns(some, before).items():
                known = np.isfinite(column)
                if not known.any():
                    continue
                owners = [places[image] for image in some["image"]]
                values.append(_by_image(column, owners, len(places)))
                rows.append(
                    {"measure": measure, "state": state, "route": route, "questions": int(known.sum())}
                )
    if not rows:
        return pd.DataFrame()
    scores = [
        _with_width(score, str(row["measure"]), str(row["state"]))
        for row, score in zip(
            rows, mean_scores(np.stack(values), resamples=resamples, seed=seed), strict=True
        )
    ]
    found = [
        row | {"value": score.value, "low": score.low, "high": score.high, "n": score.n}
        for row, score in zip(rows, scores, strict=True)
    ]
    found += _changes(rows, scores)
    columns = ["measure", "state", "route", "value", "low", "high", "n", "questions"]
    table = pd.DataFrame(found)[columns]
    order = {measure: number for number, measure in enumerate(MEASURES)}
    return table.sort_values("measure", key=lambda names: names.map(order), kind="stable", ignore_index=True)


def _columns(some: DataFrame, own: DataFrame) -> dict[str, np.ndarray]:
    """The value of each measure for each question, NaN where it is not known."""
    right, before = some["right"].to_numpy(float), own["right"].to_numpy(float)
    known = np.isfinite(right) & np.isfinite(before)

    def where(happened: np.ndarray) -> np.ndarray:
        return np.where(known, happened, np.nan)

    return {
        "delta": some["delta"].to_numpy(float),
        "flips": some["flipped"].to_numpy(float),
        "truth delta": some["truth delta"].to_numpy(float),
        "accuracy": right,
        "right to wrong": where((before == 1) & (right == 0)),
        "wrong to right": where((before == 0) & (right == 1)),
    }


def _with_width(score: Score, measure: str, state: str) -> Score:
    """Shares of yes and no with an interval; from the drawing to itself nothing can change."""
    measured = measure in SHARES and (state != OWN or measure == "accuracy")
    return share(score) if measured else score


def _changes(rows: Sequence[dict[str, object]], scores: Sequence[Score]) -> list[dict[str, object]]:
    """The rows of "accuracy change": each accuracy less that with the own drawing, in pairs."""
    right = {
        (row["route"], row["state"]): (row, score)
        for row, score in zip(rows, scores, strict=True)
        if row["measure"] == "accuracy"
    }
    found = []
    for (route, _), (row, score) in right.items():
        value, low, high = drop(score, right[route, OWN][1])
        found.append(
            row | {"measure": "accuracy change", "value": value, "low": low, "high": high, "n": score.n}
        )
    return found


def _by_image(column: np.ndarray, owners: Sequence[int], images: int) -> np.ndarray:
    """The mean of each image's known values (images,), NaN where it has none."""
    known = np.isfinite(column)
    chosen = np.asarray(owners)[known]
    sums = np.bincount(chosen, column[known], minlength=images)
    counts = np.bincount(chosen, minlength=images)
    return np.divide(sums, counts, out=np.full(images, np.nan), where=counts > 0)
