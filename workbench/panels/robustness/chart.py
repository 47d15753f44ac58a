"""What the figures show, on screen and on paper: rows of the tables, in order and in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from workbench.errors import Refusal
from workbench.images.corruptions import CORRUPTIONS
from workbench.panels.robustness.tables import ALL, CLEAN_LEVEL, gained
from workbench.panels.titles import shortened

if TYPE_CHECKING:
    from pandas import DataFrame

    from workbench.runs.result import Result

Named = tuple[str, "Result"]
Value = Literal["accuracy", "drop"]
COLUMNS = {"accuracy": ("value", "low", "high"), "drop": ("drop", "drop_low", "drop_high")}
TITLES = {"accuracy": "share of right answers ↑", "drop": "drop from clean ↓"}
BINS = 6
"""Of gains, each with as many drawings, in which the share of right answers is told."""


@dataclass(frozen=True)
class Curve:
    """One pathway of one result: its name, and for each level a value with its interval."""

    name: str
    rows: DataFrame


def label(corruption: str) -> str:
    """A corruption, a category or all of them in words."""
    known = CORRUPTIONS.get(corruption)
    return known.label if known else "all corruptions" if corruption == ALL else corruption.capitalize()


def rows_of(many: Sequence[Named], *, of: Sequence[str], pathways: Sequence[str] = ()) -> DataFrame:
    """The accuracy rows of some kinds ("clean", "type", "category", "all") of every result, each named.

    Columns "run" and "curve" name the result, and result and pathway as far as either tells them apart, the
    result without what all share.
    Raises Refusal where none of them has a pathway that is asked for.
    """
    import pandas as pd

    tables = []
    for place, (name, result) in enumerate(many):
        table = result.tables["accuracy"]
        tables.append(table[table["of"].isin(of)].assign(run=name, place=place))
    rows = pd.concat(tables, ignore_index=True)
    held = list(dict.fromkeys(rows["pathway"]))
    if missing := [pathway for pathway in pathways if pathway not in held]:
        raise Refusal(f"There is no pathway {missing[0]!r} in these results; they have {', '.join(held)}.")
    if pathways:
        rows = rows[rows["pathway"].isin(pathways)]
    several, ways = rows["place"].nunique() > 1, rows["pathway"].nunique() > 1
    short = shortened([name for name, _ in many])
    names = [
        ": ".join(([short[place]] if several else []) + ([str(way)] if ways or not several else []))
        for place, way in zip(rows["place"], rows["pathway"], strict=True)
    ]
    return rows.assign(curve=names)


def curves(rows: DataFrame) -> list[Curve]:
    """The rows of each curve, by severity, in the order in which they came."""
    order = list(dict.fromkeys(rows["curve"]))
    return [Curve(name, rows[rows["curve"] == name].sort_values("severity")) for name in order]


def bars(many: Sequence[Named], pathways: Sequence[str] = ()) -> DataFrame:
    """Clean, and all corruptions at each severity, of every pathway and result: the bars of drops."""
    rows = rows_of(many, of=("clean", ALL), pathways=pathways)
    return rows[np.isfinite(rows["severity"])]


def facets(many: Sequence[Named], pathways: Sequence[str] = ()) -> dict[str, DataFrame]:
    """For each corruption its curves over severity, clean at 0; all together last."""
    import pandas as pd

    rows = rows_of(many, of=("clean", "type", ALL), pathways=pathways)
    rows = rows[np.isfinite(rows["severity"])]
    clean = rows[rows["of"] == "clean"]
    found = {}
    for name in list(dict.fromkeys(rows.loc[rows["of"] != "clean", "corruption"])):
        found[name] = pd.concat([clean, rows[rows["corruption"] == name]], ignore_index=True)
    if not found:
        raise Refusal("These results are of clean images only: name corruptions.")
    return found


def heat(result: Result, pathway: str = "", value: Value = "drop") -> DataFrame:
    """Corruptions down, severities across; all corruptions last. Raises Refusal where there is none."""
    ways = list(dict.fromkeys(result.tables["accuracy"]["pathway"]))
    rows = rows_of([("", result)], of=("type", ALL), pathways=(pathway or ways[0],))
    rows = rows[np.isfinite(rows["severity"])]
    if not len(rows):
        raise Refusal("This result is of clean images only: name corruptions.")
    order = list(dict.fromkeys(rows["corruption"]))
    table = rows.pivot(index="corruption", columns="level", values=COLUMNS[value][0])
    levels = list(dict.fromkeys(rows.sort_values("severity")["level"]))
    return table.loc[order, levels]


def triggers(many: Sequence[Named], pathways: Sequence[str] = ()) -> DataFrame:
    """Clean and every severity: share of responses that drew, and seconds. Raises Refusal without any."""
    rows = bars(many, pathways)
    drawing = rows.groupby("curve")["triggered"].transform(lambda values: np.isfinite(values).any())
    rows = rows[drawing & ~rows["pathway"].isin(["in context"])]
    if not len(rows):
        raise Refusal("These results draw nothing on the way to an answer: take a pathway with a drawing.")
    return rows


def drawings(
    many: Sequence[Named], measure: str = "PSNR", pathway: str = "", corruption: str = ""
) -> DataFrame:
    """Every drawing: what it gained, and whether the answer was right. Raises Refusal where there is none."""
    import pandas as pd

    tables = []
    for name, result in many:
        items = result.tables["items"]
        if f"{measure} after" not in items:
            continue
        gain = gained(items[f"{measure} before"].to_numpy(), items[f"{measure} after"].to_numpy())
        items = items.assign(gain=gain, run=name)
        items = items[np.isfinite(gain) & (items["level"] != CLEAN_LEVEL)]
        way = pathway or (str(items["pathway"].iloc[0]) if len(items) else "")
        items = items[items["pathway"] == way]
        items = items[items["corruption"] == corruption] if corruption else items
        tables.append(items[["run", "question", "image", "corruption", "level", "pathway", "right", "gain"]])
    found = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame({"gain": []})
    if len(found) < 2:
        raise Refusal("There are no drawings of damaged images with this measure in these results.")
    return found


def binned(points: DataFrame) -> DataFrame:
    """The share of right answers in bins of gain that hold as many drawings each, with its interval."""
    import pandas as pd

    from probes.bootstrap import grouped_means, share

    order = points.sort_values("gain", kind="stable")
    rows = []
    for part in np.array_split(np.arange(len(order)), min(BINS, max(1, len(order) // 10))):
        some = order.iloc[part]
        score = share(grouped_means(some["right"].to_numpy()[None], some["image"].to_numpy())[0])
        rows.append(
            {"gain": some["gain"].mean(), "right": score.value, "low": score.low, "high": score.high}
            | {"n": len(some)}
        )
    return pd.DataFrame(rows)


def correlation(points: DataFrame) -> str:
    """The coefficients that belong to these points, in words."""
    from probes.correlation import grouped_correlation
    from workbench.panels.layers.axis import signed

    said = []
    owner = points["run"].astype(str) + "\0" + points["image"].astype(str)
    for name, ranked in (("r", False), ("ρ", True)):
        found = grouped_correlation(points["gain"], points["right"], owner, ranked=ranked)
        if not math.isfinite(found.value):
            said.append(f"{name} undefined")
            continue
        inside = f" [{signed(found.low, 1)}, {signed(found.high, 1)}]" if math.isfinite(found.low) else ""
        said.append(f"{name} {signed(found.value, 1)}{inside}")
    return "\n".join([*said, f"n = {len(points):,}"])


def points_of(share: float) -> str:
    """A share, or a difference of two, in points; a true minus, and none before what rounds to nothing."""
    return f"{round(100 * share, 1) + 0.0:.1f}".replace("-", "\N{MINUS SIGN}")


def sweep(many: Sequence[Named], pathways: Sequence[str] = ()) -> DataFrame:
    """All damaged images by flow steps, a result for each number of them. Raises Refusal for too few."""
    rows = rows_of(many, of=(ALL,), pathways=pathways)
    rows = rows[rows["level"] == ALL]
    steps = [result.config["steps"] for _, result in many]
    if len(set(steps)) < 2:
        raise Refusal("A sweep takes several runs that differ in steps.")
    rows = rows[~rows["pathway"].isin(["direct", "in context"])]
    if not len(rows):
        raise Refusal("A sweep of steps takes a pathway with a drawing.")
    return rows.assign(steps=[steps[place] for place in rows["place"]]).assign(curve=rows["pathway"])
