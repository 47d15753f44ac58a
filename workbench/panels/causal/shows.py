"""What of causal tracing can stand in a figure: curves, maps of one picture, tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

from pydantic import Field

from workbench.panels.causal.config import DIRECTIONS
from workbench.panels.studies import Nothing

if TYPE_CHECKING:
    from workbench.panels.causal.chart import Named
    from workbench.panels.causal.config import CausalConfig
    from workbench.runs.parts import Part
    from workbench.runs.parts import Table as Written

KNOCKOUT, MAPS, RECOVERY = "knockout", "maps", "recovery"


class OfCurves(Nothing):
    """What may be chosen about curves."""

    measure: str = Field(
        default="",
        description="knockout: relative, nats; else: log p, difference, probability [the first]",
    )


class OfRecovery(Nothing):
    """What may be chosen about the table."""

    measure: str = Field(default="log p", description="log p, difference or probability [log p]")
    stages: Literal["language", "all"] = Field(default="language", description="which rows it has [language]")


SHOWS: dict[str, type[Nothing]] = {
    **dict.fromkeys((*DIRECTIONS, KNOCKOUT), OfCurves),
    MAPS: Nothing,
}
WIDE = (MAPS,)
TABLES: dict[str, type[Nothing]] = {RECOVERY: OfRecovery, KNOCKOUT: Nothing}


def lacks(config: CausalConfig, show: str, chosen: Nothing) -> str:
    """Why a run of these settings will not hold it, in a sentence; empty where it may."""
    from workbench.panels.specimen import CLEAN

    part = {KNOCKOUT: "knockout", MAPS: "map"}.get(show, "patching")
    if part not in config.parts:
        return f"its parts are {', '.join(config.parts)}."
    if part != "knockout" and config.corruption == CLEAN:
        return "its image is not degraded, so nothing is exchanged."
    if show == MAPS and not config.image:
        return "it is of a collection, of which no maps are kept."
    if show in DIRECTIONS and show not in config.directions:
        return f"its directions are {', '.join(config.directions)}."
    return ""


def part(many: Sequence[Named], show: str, chosen: Nothing) -> Part:
    """One of SHOWS of these results. Raises Refusal where they do not hold it."""
    from workbench.panels.causal.paper import Curves, Maps

    return Maps(many) if show == MAPS else Curves(many, show, cast(OfCurves, chosen).measure)


def table(many: Sequence[Named], show: str, chosen: Nothing) -> Written:
    """One of TABLES of these results. Raises Refusal where they do not hold it."""
    from workbench.panels.causal.table import knockout_table, recovery_table

    if show == KNOCKOUT:
        return knockout_table(many)
    of = cast(OfRecovery, chosen)
    return recovery_table(many, of.measure, language=of.stages == "language")
