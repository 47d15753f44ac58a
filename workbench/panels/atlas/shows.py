"""What of an atlas can stand in a figure: its planes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel, Field

from workbench.panels.studies import Nothing

if TYPE_CHECKING:
    from workbench.panels.atlas.facets import Named
    from workbench.runs.parts import Part, Table


class OfPlanes(Nothing):
    """What may be chosen about the planes."""

    colour: str = Field(default="", description="what the points are coloured by [class, where it is known]")


PLANES = "planes"
SHOWS: dict[str, type[Nothing]] = {PLANES: OfPlanes}
WIDE: tuple[str, ...] = ()
TABLES: dict[str, type[Nothing]] = {}


def lacks(config: BaseModel, show: str, chosen: Nothing) -> str:
    """Why a run of these settings will not hold it: every run has planes."""
    return ""


def part(many: Sequence[Named], show: str, chosen: Nothing) -> Part:
    """One of SHOWS of these results. Raises Refusal where their points have no such colour."""
    from workbench.errors import Refusal
    from workbench.panels.atlas.colours import choices
    from workbench.panels.atlas.paper import Planes

    colour = cast(OfPlanes, chosen).colour
    able = choices([result for _, result in many])
    if colour and colour not in able:
        raise Refusal(f"These points cannot be coloured by {colour!r}; choose one of {', '.join(able)}.")
    return Planes(many if len(many) > 1 else [("", many[0][1])], colour)


def table(many: Sequence[Named], show: str, chosen: Nothing) -> Table:
    """There is none."""
    raise ValueError(f"an atlas has no table {show!r}")
