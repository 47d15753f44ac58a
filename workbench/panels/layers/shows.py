"""What of a layers result can stand in a figure: curves, the table of changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from pydantic import Field

from workbench.panels.layers.config import LayersConfig
from workbench.panels.layers.measures import BETWEEN, GROUPS
from workbench.panels.studies import Nothing

if TYPE_CHECKING:
    from workbench.panels.layers.axis import Named
    from workbench.runs.parts import Part, Table


class OfChange(Nothing):
    """What may be chosen about the table of changes."""

    measures: tuple[str, ...] = Field(default=(), description="its rows; without them, every one with a drop")


CHANGE = "change"
STAGES = "stages alike"
SHOWS: dict[str, type[Nothing]] = dict.fromkeys([*GROUPS, STAGES], Nothing)
"""What a figure's panel may show, with what may be chosen about it."""
WIDE: tuple[str, ...] = ()
"""What takes a page's width."""
TABLES: dict[str, type[Nothing]] = {CHANGE: OfChange}
"""What a figure's table may show, with what may be chosen about it."""


def lacks(config: LayersConfig, show: str, chosen: Nothing) -> str:
    """Why a run of these settings will not hold it, in a sentence; empty where it may."""
    from workbench.panels.layers import promise

    if show == CHANGE:
        named = cast(OfChange, chosen).measures
        if config.image and not named:
            return (
                "it looks at one picture, which leaves nothing to resample: name measures, or a collection."
            )
        return next((why for name in named if (why := promise.lacks(config, [name]))), "")
    if show in (BETWEEN, STAGES):  # one picture always keeps what is compared
        return "" if config.image else promise.lacks_kind(config, "likeness", show)
    return promise.lacks(config, GROUPS[show].measures)


def part(many: Sequence[Named], show: str, chosen: Nothing) -> Part:
    """One of SHOWS of these results. Raises Refusal where they do not hold it."""
    from workbench.panels.layers.paper import Curves
    from workbench.panels.layers.stage_map import StageMap

    if show == STAGES:
        return StageMap(many)
    return Curves(many, show)


def table(many: Sequence[Named], show: str, chosen: Nothing) -> Table:
    """One of TABLES of these results. Raises Refusal where they do not hold it."""
    from workbench.panels.layers.change import change

    return change(many, cast(OfChange, chosen).measures)
