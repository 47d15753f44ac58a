"""What of interventions can stand in a figure: effects over a collection, a row of pictures, the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from pydantic import Field

from workbench.panels.interventions.effects import MEASURES
from workbench.panels.studies import Nothing

if TYPE_CHECKING:
    from workbench.panels.interventions.chart import Named
    from workbench.panels.interventions.config import InterventionsConfig
    from workbench.runs.parts import Part
    from workbench.runs.parts import Table as Written


class OfEffects(Nothing):
    """What may be chosen about effects."""

    route: str = Field(
        default="", description="one route [all of one run; the first in common of several runs]"
    )


PICTURES, TABLE = "pictures", "interventions"
SHOWS: dict[str, type[Nothing]] = {**dict.fromkeys(MEASURES, OfEffects), PICTURES: Nothing}
WIDE = (PICTURES,)
TABLES: dict[str, type[Nothing]] = {TABLE: OfEffects}


def lacks(config: InterventionsConfig, show: str, chosen: Nothing) -> str:
    """Why a run of these settings will not hold it, in a sentence; empty where it may."""
    if show == PICTURES:
        return "" if config.image else "it is of a collection, of which no pictures are kept."
    if config.image:
        return "it is of one image, and effects are means over a collection."
    route = cast(OfEffects, chosen).route
    if route and route not in config.routes:
        return f"its routes are {', '.join(config.routes)}."
    return ""


def part(many: Sequence[Named], show: str, chosen: Nothing) -> Part:
    """One of SHOWS of these results. Raises Refusal where they do not hold it."""
    from workbench.panels.interventions.paper import Effects, Rows

    return Rows(many) if show == PICTURES else Effects(many, show, cast(OfEffects, chosen).route)


def table(many: Sequence[Named], show: str, chosen: Nothing) -> Written:
    """The table of these results. Raises Refusal where one is of one image."""
    from workbench.panels.interventions.table import table as made

    return made(many, cast(OfEffects, chosen).route)
