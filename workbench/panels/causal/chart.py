"""What is drawn of a result: curves over stages or layers, the same on the screen and on paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import Refusal
from workbench.panels.causal.config import ALL, DIRECTIONS, PATH_NAMES, TOKEN_NAMES
from workbench.panels.causal.effects import BLOCKED, EVERY_LAYER, RECOVERED
from workbench.panels.layers.axis import plain, signed

if TYPE_CHECKING:
    from pandas import DataFrame

    from workbench.runs.result import Result

Named = tuple[str, "Result"]
"""A result with its name."""
KNOCKOUT = "knockout"
CURVES: dict[str, str] = {
    "restore": "share of the damage undone ↑",
    "damage": "share of the damage done",
    KNOCKOUT: "change of the answer's probability",
}
"""What can be drawn as curves, with the axis of each: the two directions of patching, and knockout."""
SHOWN: dict[str, str] = {
    "restore": "restoring, stage by stage",
    "damage": "damaging, stage by stage",
    KNOCKOUT: "attention knockout",
}
"""The same for a person who chooses."""
BANDS = {"vision": "vision", "projector": "proj.", "llm": "language"}


@dataclass(frozen=True)
class Series:
    """One curve: arrays (points,), NaN where nothing is known.

    rank: its colour and marker; run: its dash, as far as results are not told apart by colour. level: of
    knockout, the value with all layers blocked at once, NaN elsewhere.
    """

    label: str
    rank: int
    run: int
    x: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    hover: tuple[str, ...]
    level: float


@dataclass(frozen=True)
class Chart:
    """Everything that is drawn of one of CURVES.

    ticks: a place on the axis with what is written there. bands: names of stretches with their two edges;
    none where there is one. lines: values with a line across. percent: whether values are shares to write as
    such.
    """

    show: str
    title: str
    axis: str
    series: tuple[Series, ...]
    ticks: tuple[tuple[float, str], ...]
    bands: tuple[tuple[str, float, float], ...]
    lines: tuple[float, ...]
    percent: bool
    counted: str


def held(result: Result) -> list[str]:
    """Which of CURVES a result holds, in their order."""
    found = []
    table = result.tables.get("recovery")
    for direction in DIRECTIONS:
        if table is not None and len(table) and (known := table[table["direction"] == direction]) is not None:
            found += [direction] if np.isfinite(known["value"]).any() else []
    blocked = result.tables.get("blocked")
    return found + ([KNOCKOUT] if blocked is not None and len(blocked) else [])


def measures(results: Sequence[Result], show: str) -> dict[str, str]:
    """The measures of one of CURVES that some of these results hold, with their names in words."""
    known, table = (BLOCKED, "blocked") if show == KNOCKOUT else (RECOVERED, "recovery")
    found: set[str] = set()
    for result in results:
        rows = _rows(result, show) if show in held(result) else result.tables.get(table, None)
        if rows is not None and len(rows):
            found |= set(rows.loc[np.isfinite(rows["value"]), "measure"])
    return {name: words for name, words in known.items() if name in found}


def chart(many: Sequence[Named], show: str, measure: str = "") -> Chart:
    """One of CURVES of one result or several. `measure`: by default the first that they hold.

    Raises:
        Refusal: a result does not hold it.
    """
    if show not in CURVES:
        raise Refusal(f"There are no curves called {show!r}; choose one of {', '.join(CURVES)}.")
    for name, result in many:
        if show not in held(result):
            have = ", ".join(held(result)) or "none"
            raise Refusal(f"{name or 'This result'} holds no {show}; its curves are {have}.")
    offered = measures([result for _, result in many], show)
    if measure and measure not in offered:
        raise Refusal(f"There is no measure {measure!r} of {show} here; there is {', '.join(offered)}.")
    measure = measure or next(iter(offered))
    knocked = show == KNOCKOUT
    title = CURVES[show] + (", nats" if knocked and measure == "nats" else "")
    stages = _stages(many, show)
    series = tuple(
        each
        for run, (name, result) in enumerate(many)
        for each in _series(name if len(many) > 1 else "", run, result, show, measure, stages)
    )
    bands = () if knocked else _bands(stages)
    drawn = [rows[rows["measure"] == measure] for rows in (_rows(result, show) for _, result in many)]
    counts = sorted({int(n) for rows in drawn for n in rows.loc[np.isfinite(rows["value"]), "n"]})
    span = f"{counts[0]:,}" + (f" to {counts[-1]:,}" if len(counts) > 1 else "")
    if len(many) > 1 and len({each.rank for each in series}) == 1:
        # With one kind of curve each, results are told apart by colour.
        series = tuple(replace(each, rank=each.run, run=0) for each in series)
    return Chart(
        show,
        title,
        "middle of the blocked layers" if knocked else f"{'' if bands else 'language '}stage of the exchange",
        series,
        tuple((float(place), _number(name)) for name, place in stages.items()),
        bands,
        (0.0,) if knocked else (0.0, 1.0),
        knocked and measure == "relative",
        f"n = {span} image{'' if counts[-1] == 1 else 's'}",
    )


def share(value: float) -> str:
    """A share of the damage for reading, nothing without a sign."""
    return plain(round(value, 2) + 0.0)


def _rows(result: Result, show: str) -> DataFrame:
    if show == KNOCKOUT:
        return result.tables["blocked"]
    table = result.tables["recovery"]
    return table[table["direction"] == show]


def _stages(many: Sequence[Named], show: str) -> dict[str, int]:
    """Every stage, or layer, of the deepest result that has a point, in order, with its place on the axis."""
    names: list[str] = []
    for _, result in many:
        rows = _rows(result, show)
        if show == KNOCKOUT:
            layers = sorted({int(layer) for layer in rows["layer"]} - {EVERY_LAYER})
            found = [f"llm {layer}" for layer in layers]
        else:
            found = list(dict.fromkeys(rows.sort_values("index")["stage"]))
        names = found if len(found) > len(names) else names
    return {name: place for place, name in enumerate(names)}


def _bands(stages: dict[str, int]) -> tuple[tuple[str, float, float], ...]:
    found: dict[str, list[int]] = {}
    for name, place in stages.items():
        found.setdefault(name.rpartition(" ")[0] or name, []).append(place)
    if len(found) < 2:
        return ()
    return tuple((BANDS[band], places[0] - 0.5, places[-1] + 0.5) for band, places in found.items())


def _number(stage: str) -> str:
    number = stage.rpartition(" ")[2]
    return number if number.isdigit() else ""


def _series(
    name: str, run: int, result: Result, show: str, measure: str, stages: dict[str, int]
) -> list[Series]:
    rows = _rows(result, show)
    rows = rows[rows["measure"] == measure]
    names, column = (PATH_NAMES, "path") if show == KNOCKOUT else (TOKEN_NAMES, "tokens")
    out = []
    for rank, (key, words) in enumerate(names.items()):
        some = rows[rows[column] == key]
        level = float("nan")
        if show == KNOCKOUT:
            whole = some[some["layer"] == EVERY_LAYER]
            level = float(whole["value"].iloc[0]) if len(whole) else level
            some = some[some["layer"] != EVERY_LAYER].sort_values("layer")
            some = some.assign(stage=[f"llm {layer}" for layer in some["layer"]])
        else:
            some = some.sort_values("index")
        some = some[some["stage"].isin(stages)]
        if not len(some) or not np.isfinite(some["value"]).any():
            continue
        value, low, high = (some[each].to_numpy(float) for each in ("value", "low", "high"))
        label = ", ".join(filter(None, (name, words)))
        hover = tuple(_hover(label, row, show, measure) for row in some.to_dict("records"))
        x = np.array([stages[stage] for stage in some["stage"]], dtype=float)
        out.append(Series(label, rank, run, x, value, low, high, hover, level))
    return out


def _hover(label: str, row: dict[str, Any], show: str, measure: str) -> str:
    percent = show == KNOCKOUT and measure == "relative"

    def write(value: float) -> str:
        if percent:
            return f"{signed(100 * value)} %"
        return signed(value) if show == KNOCKOUT else share(value)

    where = f"<b>{row['stage']}</b>"
    if show == KNOCKOUT:
        first, last = int(row["first"]), int(row["last"])
        where = (
            f"<b>layer{'s' if last > first else ''} {first}"
            + (f" to {last}" if last > first else "")
            + "</b>"
        )
    held = f" ({write(row['low'])} to {write(row['high'])})" if np.isfinite(row["low"]) else ""
    return f"{where}<br>{label}: {write(row['value'])}{held}<br>n = {int(row['n']):,}"


def half(result: Result, direction: str, measure: str = "log p") -> tuple[float, float, float] | None:
    """Until which language layer exchanging all visual tokens moves more than half, with its interval."""
    table = result.tables.get("halves")
    if table is None or not len(table):
        return None
    some = table[(table["direction"] == direction) & (table["measure"] == measure) & (table["tokens"] == ALL)]
    if not len(some):
        return None
    row = some.iloc[0]
    return float(row["value"]), float(row["low"]), float(row["high"])
