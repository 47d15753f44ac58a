"""What stands on the page besides the curves: the verdict, the maps of one picture, what its regions do."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from probes.attribution.recovery import recovery
from workbench.page import markup
from workbench.panels.causal.chart import share
from workbench.panels.causal.config import DIRECTION_NAMES
from workbench.panels.causal.maps import maps_of, run_names
from workbench.panels.causal.verdict import verdict
from workbench.panels.layers.axis import signed
from workbench.panels.overlay import weighed_bar

if TYPE_CHECKING:
    from workbench.runs.result import Result


def empty() -> str:
    """What stands there before the first look."""
    return markup.placeholder(
        "the share of the damage that is undone, stage by stage, and what blocked attention costs"
    )


def told(result: Result) -> str:
    """What the numbers say."""
    lines = "".join(f"<p>{escape(sentence)}</p>" for sentence in verdict(result))
    return f'<div class="aft told">{lines}</div>'


def maps(result: Result) -> str:
    """The pictures, and a map for each direction and stage, on one scale; nothing of a collection."""
    found = maps_of(result)
    if not found:
        return ""
    clean = result.images["clean"]
    figures = [markup.figure(name, "", result.images[key]) for key, name in run_names(result).items()]
    for each in found:
        best = float(np.nanmax(each.values))
        note = f"largest {signed(best)}"
        name = f"{'restoring' if each.direction == 'restore' else 'damaging'} one patch, {each.stage}"
        figures.append(markup.figure(name, note, each.drawn(clean)))
    most = found[0].most
    scale = markup.scale(
        "Share of the damage that a patch undoes (restoring) or does (damaging), exchanged alone.",
        weighed_bar(),
        signed(-most),
        signed(most),
    )
    return markup.row(figures, "maps") + scale + _regions(result)


def _regions(result: Result) -> str:
    """What each object and background does, exchanged as a whole."""
    table = result.tables.get("regions")
    if table is None or not len(table):
        return ""
    items = result.tables["items"].iloc[0]
    runs = {"restore": (items["degraded log p"], items["clean log p"])}
    runs["damage"] = runs["restore"][::-1]
    rows = []
    for (region, stage, tokens), some in table.groupby(["region", "stage", "tokens"], sort=False):
        shares = [
            f"{'undoes' if row['direction'] == 'restore' else 'does'} "
            f"{share(float(recovery(*runs[row['direction']], row['log p'])))}"
            for row in some.to_dict("records")
        ]
        words = f"{tokens} token{'' if tokens == 1 else 's'}, exchanged together at {stage}"
        rows.append((str(region), words, ", ".join(shares)))
    return markup.table(rows)


def pinned(title: str, result: Result) -> str:
    """A pinned look at one picture: its maps as small pictures, and what its numbers say."""
    clean = result.images["clean"]
    shown = [
        markup.image(each.drawn(clean), f"{title}: {DIRECTION_NAMES[each.direction]}, {each.stage}", 96)
        for each in maps_of(result)
    ]
    return markup.strip(title, shown, [result.config["question"], *verdict(result)])
