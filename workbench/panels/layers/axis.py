"""Results as curves over one axis, vision blocks to language layers: what screen and paper both draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import Refusal
from workbench.models.protocol import BANDS
from workbench.panels.layers.between import against_first, comparisons
from workbench.panels.layers.measures import BETWEEN, GROUPS, WITH_FIRST, Group, short
from workbench.panels.layers.table import REFERENCE
from workbench.panels.titles import shortened

if TYPE_CHECKING:
    from pandas import DataFrame

    from workbench.runs.result import Result

Named = tuple[str, "Result"]
"""A result with the name it is pinned under."""

BAND_NAMES = {"vision": "vision", "projector": "proj.", "llm": "language"}
LONGEST_TITLE = 18
"""Characters of a pin's name at a curve's end; there is no room for more."""


@dataclass(frozen=True)
class Stretch:
    """One band of the axis: from `start` over `stages` stages that stand one apart."""

    band: str
    start: int
    stages: int

    @property
    def name(self) -> str:
        """What is written above it."""
        return BAND_NAMES[self.band]

    @property
    def edges(self) -> tuple[float, float]:
        """Left and right edge on the axis."""
        return self.start - 0.5, self.start + self.stages - 0.5


@dataclass(frozen=True)
class Curve:
    """One measure of one result along the axis; arrays are float64 (stages,), NaN where nothing is known.

    source and measure number the result, and the measure within the group, from 0: they decide colour, marker
    and dash. chance: what the measure is without order or with shuffled labels; chance_of: what tells that
    level from others of the chart. reference: the value at "llm 0", NaN without one. drop: the last stage
    minus "llm 0", with its interval.
    """

    label: str
    chance_of: str
    source: int
    measure: int
    stages: list[str]
    x: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: np.ndarray
    chance_low: np.ndarray
    chance_high: np.ndarray
    hover: list[str]
    reference: float
    drop: tuple[float, float, float]


@dataclass(frozen=True)
class Chart:
    """Everything that is drawn for one group."""

    group: Group
    stretches: list[Stretch]
    curves: list[Curve]
    ticks: list[tuple[float, str]]
    """Every stage of the deepest model: where it stands, and its number (none for the projector)."""
    entry: float | None
    """Where "llm 0" stands, if there is one."""
    span: tuple[float, float]
    """Lowest and highest value drawn, intervals and chance included."""


def named(results: Result | Sequence[Named]) -> list[Named]:
    """One result or several with names, as a list."""
    return list(results) if isinstance(results, Sequence) else [("", results)]


def groups_in(results: Result | Sequence[Named]) -> list[str]:
    """The names of the groups that these results hold numbers for, in the order of the panel."""
    held: set[str] = set()
    many = named(results)
    for _, result in many:
        table = result.tables["curves"]
        held |= set(table.loc[np.isfinite(table["value"]), "measure"])
    if len(taking_part(many, BETWEEN)) > 1:
        held.add(WITH_FIRST)
    return [name for name, group in GROUPS.items() if group.among(held)]


def taking_part(many: Sequence[Named], name: str) -> list[Named]:
    """The results of which something stands in a group's curves; the one that others are held to comes first.

    Two are needed between results; all are left out where the first compares with none.
    """
    if name != BETWEEN:
        return [pair for pair in many if name in groups_in([pair])]
    try:
        return [many[0], *comparisons(many)]
    except Refusal:
        return []


def drawn_of(results: Result | Sequence[Named], name: str) -> list[Named]:
    """The results with the tables that a group's curves are drawn from. Raises Refusal as `chart`."""
    if name not in GROUPS:
        raise Refusal(f"There is no group of curves called {name!r}; choose one of {', '.join(GROUPS)}.")
    return against_first(named(results)) if name == BETWEEN else named(results)


def chart(results: Result | Sequence[Named], name: str) -> Chart:
    """The curves of one group for one result or several.

    Results of models of different depth share the axis band by band: each band is as long as in the deepest
    model, and the stages of the others spread over it evenly, first on first and last on last.

    Raises:
        Refusal: an unknown group, or one that none of the results holds.
    """
    return chart_of(drawn_of(results, name), name, [title for title, _ in named(results)])


def chart_of(many: Sequence[Named], name: str, titles: Sequence[str]) -> Chart:
    """`chart` of what `drawn_of` gives; `titles` of all results, as labels leave out what those share."""
    group = GROUPS[name]
    tables = [result.tables["curves"] for _, result in many]
    shown = group.among(measure for t in tables for measure in t["measure"])
    if not shown:
        raise Refusal(f"These results hold nothing about {name}: they measured something else.")
    stretches = _stretches([result.tables["stages"] for _, result in many])
    curves: list[Curve] = []
    short_of = dict(zip(titles, shortened(titles), strict=True))
    for source, ((title, result), table) in enumerate(zip(many, tables, strict=True)):
        places = _places(result.tables["stages"], stretches)
        for number, measure in enumerate(shown):
            rows = table[table["measure"] == measure].sort_values("index")
            if len(rows):
                label = _label(short_of[title], measure, len(many) + (name == BETWEEN), len(shown))
                chance_of = short(measure) if len(shown) > 1 else label
                curves.append(_curve(label, chance_of, source, number, rows, places, log=group.log))
    starts = {stretch.band: stretch.start for stretch in stretches}
    has_entry = any((t["stage"] == REFERENCE).any() for t in tables)
    return Chart(
        group=group,
        stretches=stretches,
        curves=curves,
        ticks=_ticks([result.tables["stages"] for _, result in many], stretches),
        entry=float(starts["llm"]) if has_entry else None,
        span=_span(curves),
    )


def signed(value: float, size: float | None = None) -> str:
    """A difference with its sign and a true minus: three decimals below 0.1, none above ten.

    `size`: decimals as for a number of this size, where several shall have the same.
    """
    large = abs(value if size is None else size)
    text = f"{value:+.{3 if large < 0.095 else 2 if large < 9.95 else 0}f}"
    if not text.strip("+-0."):
        return "\N{PLUS-MINUS SIGN}0"
    return text.replace("-", "\N{MINUS SIGN}")


def plain(value: float) -> str:
    """A value for reading: two decimals below ten, none above a hundred."""
    if not math.isfinite(value):
        return "unknown"
    text = f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"
    return text.replace("-", "\N{MINUS SIGN}")


def _label(title: str, measure: str, results: int, measures: int) -> str:
    if results == 1:
        return short(measure)
    title = title if len(title) <= LONGEST_TITLE else title[: LONGEST_TITLE - 1] + "…"
    return title if measures == 1 else f"{title}, {short(measure)}"


def _stretches(tables: Sequence[DataFrame]) -> list[Stretch]:
    stretches, start = [], 0
    for band in BANDS:
        stages = max(int((table["band"] == band).sum()) for table in tables)
        if stages:
            stretches.append(Stretch(band, start, stages))
            start += stages
    return stretches


def _places(table: DataFrame, stretches: Sequence[Stretch]) -> dict[str, float]:
    """Where each stage of one result stands."""
    places: dict[str, float] = {}
    for stretch in stretches:
        names = table[table["band"] == stretch.band].sort_values("index")["stage"]
        step = (stretch.stages - 1) / max(len(names) - 1, 1)
        places |= {str(name): stretch.start + k * step for k, name in enumerate(names)}
    return places


def _ticks(tables: Sequence[DataFrame], stretches: Sequence[Stretch]) -> list[tuple[float, str]]:
    ticks: list[tuple[float, str]] = []
    for stretch in stretches:
        deepest = max(tables, key=lambda table: int((table["band"] == stretch.band).sum()))
        names = deepest[deepest["band"] == stretch.band].sort_values("index")["stage"]
        for k, name in enumerate(names):
            number = str(name).rpartition(" ")[2]
            ticks.append((float(stretch.start + k), number if number.isdigit() else ""))
    return ticks


def _curve(
    label: str,
    chance_of: str,
    source: int,
    measure: int,
    rows: DataFrame,
    places: dict[str, float],
    *,
    log: bool,
) -> Curve:
    """The curve of a table's rows; on a logarithmic axis what is not positive is left out."""

    def column(name: str) -> np.ndarray:
        values = rows[name].to_numpy(dtype=np.float64)
        return np.where(values > 0, values, np.nan) if log else values

    stages = [str(stage) for stage in rows["stage"]]
    last = rows.iloc[-1]
    at = rows[rows["stage"] == REFERENCE]
    return Curve(
        label=label,
        chance_of=chance_of,
        source=source,
        measure=measure,
        stages=stages,
        x=np.array([places[stage] for stage in stages]),
        value=column("value"),
        low=column("low"),
        high=column("high"),
        chance=column("chance"),
        chance_low=column("chance_low"),
        chance_high=column("chance_high"),
        hover=[_hover(label, row) for row in rows.to_dict("records")],
        reference=float(at["value"].iloc[0]) if len(at) else math.nan,
        drop=(float(last["delta"]), float(last["delta_low"]), float(last["delta_high"])),
    )


def _hover(label: str, row: dict[str, float | str]) -> str:
    def number(name: str) -> float:
        return float(row[name])

    def between(low: str, high: str, words: str = "") -> str:
        if not math.isfinite(number(low)):
            return ""
        write = signed if words else plain
        return f" [{write(number(low))}, {write(number(high))}]"

    lines = [f"<b>{row['stage']}</b>", f"{label}: {plain(number('value'))}{between('low', 'high')}"]
    if row["stage"] != REFERENCE and math.isfinite(number("delta")):
        lines.append(
            f"from {REFERENCE}: {signed(number('delta'))}{between('delta_low', 'delta_high', 'signed')}"
        )
    if math.isfinite(number("chance")):
        lines.append(f"chance: {plain(number('chance'))}{between('chance_low', 'chance_high')}")
    if math.isfinite(float(row.get("selectivity", math.nan))):
        above = between("selectivity_low", "selectivity_high", "signed")
        lines.append(f"selectivity, above the control: {signed(number('selectivity'))}{above}")
    if math.isfinite(number("majority")):
        lines.append(f"always the commonest: {plain(number('majority'))}")
    return "<br>".join([*lines, f"n = {int(number('n')):,} {row['of']}"])


def _span(curves: Sequence[Curve]) -> tuple[float, float]:
    """From the least to the greatest number that is drawn.

    What chance does may reach as far beyond as the curves are long, no further: a shuffled R² of few images
    has no floor, and would press the curves into a line.
    """
    own = _ends([a for c in curves for a in (c.value, c.low, c.high)])
    chance = _ends([a for c in curves for a in (c.chance, c.chance_low, c.chance_high)])
    if own is None or chance is None:
        return own or chance or (0.0, 1.0)
    room = max(own[1] - own[0], 0.1 * max(map(abs, own)), 0.01)
    return min(own[0], max(chance[0], own[0] - room)), max(own[1], min(chance[1], own[1] + room))


def _ends(parts: Sequence[np.ndarray]) -> tuple[float, float] | None:
    values = np.concatenate(parts) if parts else np.zeros(0)
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else None
