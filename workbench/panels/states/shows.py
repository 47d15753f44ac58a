"""What of a states result can stand in a figure: the filmstrip with its words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel, Field

from workbench.panels.studies import Nothing

if TYPE_CHECKING:
    from workbench.panels.states.figure import Named
    from workbench.runs.parts import Part, Table


class OfFilmstrip(Nothing):
    """What may be chosen about a filmstrip."""

    steps: int = Field(default=4, ge=1, le=8, description="denoising steps that are shown")
    at: tuple[int, ...] = Field(
        default=(), max_length=8, description="these steps, by number, instead of some spread evenly"
    )
    estimates: bool = Field(default=False, description="a row with the image that each step points to")


FILMSTRIP = "filmstrip"
SHOWS: dict[str, type[Nothing]] = {FILMSTRIP: OfFilmstrip}
WIDE = (FILMSTRIP,)
TABLES: dict[str, type[Nothing]] = {}


def lacks(config: BaseModel, show: str, chosen: Nothing) -> str:
    """Why a run of these settings will not hold it: every run draws."""
    return ""


def part(many: Sequence[Named], show: str, chosen: Nothing) -> Part:
    """One of SHOWS of these results."""
    from workbench.panels.states.figure import Chosen, Filmstrips

    given = cast(OfFilmstrip, chosen)
    return Filmstrips(many, Chosen(given.steps, given.at, given.estimates))


def table(many: Sequence[Named], show: str, chosen: Nothing) -> Table:
    """There is none."""
    raise ValueError(f"states have no table {show!r}")
