"""The tables of a robustness study, for reading."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import Refusal
from workbench.panels.layers.axis import plain, signed
from workbench.panels.robustness.chart import Named, label, points_of, rows_of
from workbench.panels.robustness.tables import ALL, CLEAN_LEVEL
from workbench.runs.parts import Table

if TYPE_CHECKING:
    from collections.abc import Hashable

    from pandas import DataFrame

KINDS = ("type", "category", ALL)


def types(many: Sequence[Named], level: str, pathways: Sequence[str] = ()) -> Table:
    """Each corruption, each category and all at one level: right answers, their drop, and n, by curve.

    Raises:
        Refusal: no result has that level.
    """
    import pandas as pd

    rows = rows_of(many, of=KINDS, pathways=pathways)
    here = rows[rows["level"] == level]
    if not len(here):
        held = ", ".join(str(each) for each in dict.fromkeys(rows["level"]) if each != ALL)
        raise Refusal(f"There is no level {level!r} in these results; they have {held}.")
    order = list(dict.fromkeys(here["corruption"]))
    lines = []
    for name in order:
        line = {"corruption": label(name)}
        for row in here[here["corruption"] == name].to_dict("records"):
            line[f"{row['curve']} ↑"] = _percent(row, "value", "low", "high")
            line[f"{row['curve']}, drop ↓"] = _points(row, "drop", "drop_low", "drop_high")
            line["n"] = _n(row)
        lines.append(line)
    return Table(here.drop(columns=["place"]), pd.DataFrame(lines).fillna(""))


def conditions(many: Sequence[Named], pathways: Sequence[str] = ()) -> Table:
    """Each corruption at every severity side by side: right answers with their interval, a line a curve."""
    import pandas as pd

    rows = rows_of(many, of=KINDS, pathways=pathways)
    rows = rows[np.isfinite(rows["severity"])]
    several = rows["curve"].nunique() > 1
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows.sort_values("severity", kind="stable").to_dict("records"):
        name, curve = str(row["corruption"]), str(row["curve"])
        first = {"corruption": label(name)} | ({"pathway": curve} if several else {})
        line = lines.setdefault((name, curve), first)
        line[f"{row['level']} ↑"] = _percent(row, "value", "low", "high")
        line["n"] = f"{row['n']:,} each, {row['images']:,} images"
    order = list(dict.fromkeys(rows["corruption"]))
    found = [lines[key] for key in sorted(lines, key=lambda key: order.index(key[0]))]
    table = pd.DataFrame(found).fillna("")
    return Table(rows.drop(columns=["place"]), table[[c for c in table if c != "n"] + ["n"]])


def levels(many: Sequence[Named], pathways: Sequence[str] = ()) -> Table:
    """Clean, and all corruptions at each severity: everything that is measured, a line for each curve."""
    import pandas as pd

    rows = rows_of(many, of=("clean", ALL), pathways=pathways)
    rows = rows[np.isfinite(rows["severity"])]
    drawing = bool(np.isfinite(rows["triggered"]).any())
    several = rows["curve"].nunique() > 1
    lines = []
    for row in rows.sort_values(["severity", "place"], kind="stable").to_dict("records"):
        line = {"severity": row["level"]} | ({"pathway": row["curve"]} if several else {})
        line |= {
            "right answers ↑": _percent(row, "value", "low", "high"),
            "drop ↓": "" if row["level"] == CLEAN_LEVEL else _points(row, "drop", "drop_low", "drop_high"),
        }
        if several:
            line["against direct"] = _points(row, "against_direct", "against_low", "against_high")
        if drawing:
            line["draws"] = _percent(row, "triggered", "triggered_low", "triggered_high")
            line["p(restore)"] = plain(row["restore"]) if math.isfinite(row["restore"]) else ""
        line |= {
            "right→wrong / wrong→right": ""
            if row["level"] == CLEAN_LEVEL
            else f"{100 * row['lost_from_clean']:.1f} / {100 * row['gained_on_clean']:.1f} %",
            "calibration error ↓": f"{row['ece']:.3f} [{row['ece_low']:.3f}, {row['ece_high']:.3f}]",
            "s an answer ↓": f"{row['seconds']:.3f}",
            "n": _n(row),
        }
        lines.append(line)
    return Table(rows.drop(columns=["place"]), pd.DataFrame(lines).fillna(""))


def gains(many: Sequence[Named], pathways: Sequence[str] = ()) -> Table:
    """Drawings of all corruptions at each severity: each measure before and after, and how that goes with
    being right.

    Raises:
        Refusal: no result has drawings.
    """
    import pandas as pd

    tables = [result.tables["gain"].assign(run=name) for name, result in many if "gain" in result.tables]
    rows: DataFrame = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    if not len(rows):
        raise Refusal("These results have no drawings of damaged images.")
    rows = rows[rows["pathway"].isin(pathways)] if pathways else rows
    lines = []
    for row in rows[rows["of"] == ALL].to_dict("records"):
        line = {"run": row["run"]} if len(many) > 1 else {}
        lines.append(
            line
            | {
                "severity": row["level"],
                "pathway": row["pathway"],
                "measure ↑": f"{row['measure']} {row['unit']}".strip(),
                "before → after": f"{plain(row['before'])} → {plain(row['after'])}",
                "gain": f"{signed(row['gain'])} [{signed(row['gain_low'])}, {signed(row['gain_high'])}]",
                "point-biserial r": _coefficient(row, "r"),
                "Spearman ρ": _coefficient(row, "rho"),
                "n": f"{row['n']:,} drawings of {row['images']:,} images",
            }
        )
    return Table(rows, pd.DataFrame(lines))


def _percent(row: dict[Hashable, Any], value: str, low: str, high: str) -> str:
    """A share in %, with its interval."""
    if not math.isfinite(row[value]):
        return ""
    inside = f" [{100 * row[low]:.1f}, {100 * row[high]:.1f}]" if math.isfinite(row[low]) else ""
    return f"{100 * row[value]:.1f}{inside}"


def _points(row: dict[Hashable, Any], value: str, low: str, high: str) -> str:
    """A difference of shares in points, with its interval."""
    if not math.isfinite(row[value]):
        return ""

    def words(x: float) -> str:
        return ("+" if round(100 * x, 1) > 0 else "") + points_of(x)

    inside = f" [{words(row[low])}, {words(row[high])}]" if math.isfinite(row[low]) else ""
    return words(row[value]) + inside


def _coefficient(row: dict[Hashable, Any], name: str) -> str:
    if not math.isfinite(row[name]):
        return "undefined"
    inside = ""
    if math.isfinite(row[f"{name}_low"]):
        inside = f" [{signed(row[f'{name}_low'], 1)}, {signed(row[f'{name}_high'], 1)}]"
    return signed(row[name], 1) + inside


def _n(row: dict[Hashable, Any]) -> str:
    return f"{row['n']:,} answers, {row['images']:,} images"
