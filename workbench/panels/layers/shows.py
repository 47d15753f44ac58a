"""What of a layers result can stand in a figure: curves, maps, pictures, the table of changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from pydantic import Field

from workbench.panels.layers.config import LayersConfig, Measure
from workbench.panels.layers.measures import BETWEEN, GROUPS
from workbench.panels.studies import Nothing

if TYPE_CHECKING:
    from workbench.panels.layers.axis import Named
    from workbench.runs.parts import Part, Table


class OfChange(Nothing):
    """What may be chosen about the table of changes."""

    measures: tuple[str, ...] = Field(default=(), description="its rows; without them, every one with a drop")


class OfPictures(Nothing):
    """What may be chosen about read pictures."""

    stages: tuple[str, ...] = Field(
        default=(), max_length=6, description="where they are read, up to six [over the axis]"
    )
    pictures: int = Field(default=2, ge=1, le=4, description="of the first test pictures, how many")


CHANGE, PICTURES, STAGES = "change", "read pictures", "stages alike"
SHOWS: dict[str, type[Nothing]] = {**dict.fromkeys([*GROUPS, STAGES], Nothing), PICTURES: OfPictures}
"""What a figure's panel may show, with what may be chosen about it."""
WIDE: tuple[str, ...] = (PICTURES,)
"""What takes a page's width."""
MADE_WITH: dict[str, Measure] = {PICTURES: "content", STAGES: "likeness", BETWEEN: "likeness"}
"""The kind of measure over a collection that brings a panel."""
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
    if show in (BETWEEN, STAGES) and config.image:
        return ""  # A picture always keeps what is compared.
    if show in MADE_WITH:
        return promise.lacks_kind(config, MADE_WITH[show], show)
    return promise.lacks(config, GROUPS[show].measures)


def part(many: Sequence[Named], show: str, chosen: Nothing) -> Part:
    """One of SHOWS of these results. Raises Refusal where they do not hold it."""
    from workbench.panels.layers.paper import Curves
    from workbench.panels.layers.read_paper import ReadPictures
    from workbench.panels.layers.stage_map import StageMap

    if show == PICTURES:
        about = cast(OfPictures, chosen)
        return ReadPictures(many, about.stages, about.pictures)
    if show == STAGES:
        return StageMap(many)
    return Curves(many, show)


def table(many: Sequence[Named], show: str, chosen: Nothing) -> Table:
    """One of TABLES of these results. Raises Refusal where they do not hold it."""
    from workbench.panels.layers.change import change

    return change(many, cast(OfChange, chosen).measures)
