"""What the panel "Perceptual" shows of a result: choices, captions, numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.images.fit import LONGEST, within
from workbench.page import markup
from workbench.panels.perceptual import reading

if TYPE_CHECKING:
    from workbench.runs.result import Result

BOX = 384
"""Pixels of the long side of what is compared."""


def word(pair: tuple[int, int]) -> str:
    """A pair as a choice's value."""
    return f"{pair[0]},{pair[1]}"


def fitting(result: Result, pair: Any, kind: Any, measure: Any) -> tuple[tuple[int, int], str, str]:
    """The choices as far as this result has them: some may be of an earlier one."""
    found = {word(each): each for each in reading.pairs_of(result)}
    chosen = found.get(str(pair)) or reading.last_pair(result)
    maps = reading.maps_of(result, chosen)
    held = reading.measures_of(result)
    first = next((name for name in reading.FIRST if name in held), held[0])
    return chosen, kind if kind in maps else maps[0], measure if measure in held else first


def map_name(kind: str) -> str:
    """A map as a choice."""
    return "difference" if kind == reading.DIFFERENCE else reading.map_title(kind)


def empty() -> str:
    """Where nothing was compared yet."""
    return markup.placeholder("reference and drawing stand here, with a map of where they differ")


def caption(kind: str, between: tuple[float, float]) -> str:
    """What a map shows, with its colours and where they end."""
    from workbench.panels.overlay import scale_bar

    words = f"{reading.map_title(kind)}: brighter is further from the reference."
    return markup.scale(words[:1].upper() + words[1:], scale_bar(), *reading.ends_of(kind, between))


def scores(result: Result, pair: tuple[int, int]) -> str:
    """The numbers of a pair, with direction, range and what they were taken with."""
    rows = []
    for row in reading.scores_of(result, pair):
        measure = str(row["measure"])
        better = f"{row['better']} is better, {reading.ends(measure)}"
        with_ = f"; {row['backbone']}" if row["backbone"] else ""
        with_ += f", sha256 {str(row['weights'])[:12]}" if row["weights"] else ""
        rows.append(
            (
                f"{reading.title(measure)} {reading.arrow(measure)}",
                better + with_,
                reading.number(measure, float(row["value"])),
            )
        )
    size = str(result.manifest["size"])
    return markup.table(rows) + markup.remark(f"{size[:1].upper()}{size[1:]}.")


def beside(name: str, other: Result, kind: str) -> str:
    """A pinned result in a row: its last picture, the same map, its numbers."""
    pair = reading.last_pair(other)
    pictures = [reading.seen(other, pair[0])]
    if kind in reading.maps_of(other, pair):
        values = reading.spread(other, kind, pair)
        pictures.append(within(reading.coloured(values, reading.span(kind, [values])), LONGEST))
    said = "; ".join(
        f"{reading.title(m)} {reading.arrow(m)} {reading.number(m, v)}"
        for m in reading.measures_of(other)
        if not np.isnan(v := reading.value(other, m, pair))
    )
    names = reading.places(other)
    lines = [f"{names[pair[0]]}, against {names[pair[1]]}", said, str(other.manifest["size"])]
    return markup.strip(name, [markup.image(each, name, 96) for each in pictures], lines)


def numbers(result: Result) -> Any:
    """The scores in the columns that one reads."""
    table = result.tables["scores"].copy()
    table["value"] = [
        reading.number(measure, float(value))
        for measure, value in zip(table["measure"], table["value"], strict=True)
    ]
    table["measure"] = [f"{reading.title(name)} {reading.arrow(name)}" for name in table["measure"]]
    table["weights"] = [str(text)[:12] for text in table["weights"]]
    columns = [
        "picture",
        "reference",
        "measure",
        "value",
        "channels",
        "resize",
        "backbone",
        "weights",
        "source",
    ]
    return table[columns]
