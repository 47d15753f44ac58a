"""Tables for a paper: where methods point over a collection, and the measures of one image's maps."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from workbench.errors import Refusal
from workbench.panels.attribution.chart import Named, of_image
from workbench.panels.attribution.names import ALL_LAYERS, LABELS
from workbench.panels.attribution.scores import CHANCE, MEASURES
from workbench.runs.parts import Table


def pointing(many: Sequence[Named]) -> Table:
    """A row for each method of each result, the best first. Raises Refusal where one is of one image."""
    numbers, written = [], []
    for name, result in many:
        if of_image(result):
            raise Refusal(f"{name or 'This result'} is of one image: a table of pointing needs a collection.")
        table = result.tables["pointing"]
        table = table[table["stage"].isin(["", ALL_LAYERS])]
        numbers.append(table.assign(run=name)[["run", *table.columns]])
        by_measure = {measure: table[table["measure"] == measure].set_index("method") for measure in MEASURES}
        order = by_measure["pointing"].sort_values("value", ascending=False, kind="stable").index
        for method in order:
            cells = {"run": name} if len(many) > 1 else {}
            cells["method"] = LABELS[method]
            for measure, title in MEASURES.items():
                cells[title] = _cell(by_measure[measure], method)
            row = by_measure["pointing"].loc[method]
            cells["above chance"] = "" if method == CHANCE else _signed(row, "above")
            cells["n"] = f"{int(row['n']):,}"
            written.append(cells)
    return Table(pd.concat(numbers, ignore_index=True), pd.DataFrame(written))


def _cell(rows: pd.DataFrame, method: str) -> str:
    if method not in rows.index:
        return ""
    row = rows.loc[method]
    return f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def _signed(row: pd.Series, name: str) -> str:
    value, low, high = (
        f"{row[each]:+.2f}".replace("-", "\N{MINUS SIGN}") for each in (name, f"{name}_low", f"{name}_high")
    )
    return f"{value} [{low}, {high}]"


def faithfulness(many: Sequence[Named], target: int = 0) -> Table:
    """A row for each map of each result, with its measures. Raises Refusal where one is of a collection."""
    from workbench.panels.attribution.chart import MEASURES as OF_MAPS
    from workbench.panels.attribution.chart import maps

    numbers, written = [], []
    for name, result in many:
        if not of_image(result):
            raise Refusal(f"{name or 'This result'} is of a collection: its maps are not kept.")
        for one in maps(result, target):
            about = {"run": name, "method": one.method, "stage": one.stage}
            numbers.append(about | {each: one.measures.get(each, float("nan")) for each in OF_MAPS})
            cells = {"run": name} if len(many) > 1 else {}
            cells["method"] = one.label
            for each, title in OF_MAPS.items():
                cells[title] = f"{one.measures[each]:.2f}" if each in one.measures else ""
            written.append(cells)
    return Table(pd.DataFrame(numbers), pd.DataFrame(written))
