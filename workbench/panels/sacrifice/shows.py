"""What of sacrifice results can stand in a figure: the scatter, the curves of readers, the coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from pydantic import Field

from workbench.panels.layers.measures import GROUPS
from workbench.panels.sacrifice.config import SacrificeConfig
from workbench.panels.studies import Nothing

if TYPE_CHECKING:
    from workbench.panels.sacrifice.series import Named
    from workbench.runs.parts import Part, Table


class OfCoefficients(Nothing):
    """What may be chosen about the table of coefficients."""

    measure: str = Field(default="", description='of the readers, such as "patch mIoU" [their first]')


MOST_STAGES = 3
"""Of a scatter: what there is room to write coefficients for."""


class OfScatter(OfCoefficients):
    """What may be chosen about a scatter."""

    stages: tuple[str, ...] = Field(
        default=(), max_length=MOST_STAGES, description="up to three [llm 0, the middle, the last]"
    )


SCATTER, COEFFICIENTS = "scatter", "coefficients"
SHOWS: dict[str, type[Nothing]] = {SCATTER: OfScatter, **dict.fromkeys(GROUPS, Nothing)}
WIDE: tuple[str, ...] = ()
TABLES: dict[str, type[Nothing]] = {COEFFICIENTS: OfCoefficients}


def lacks(config: SacrificeConfig, show: str, chosen: Nothing) -> str:
    """Why a run of these settings will not hold it, in a sentence; empty where it may."""
    from workbench.panels.layers import promise

    if show not in (SCATTER, COEFFICIENTS):
        return promise.lacks(config.of_readers(), GROUPS[show].measures)
    measure = cast(OfCoefficients, chosen).measure
    return promise.lacks(config.of_readers(), [measure]) if measure else ""


def part(many: Sequence[Named], show: str, chosen: Nothing) -> Part:
    """One of SHOWS of these results. Raises Refusal where they do not hold it."""
    from workbench.panels.layers.paper import Curves
    from workbench.panels.sacrifice.figure import Scatter

    if show != SCATTER:
        return Curves(many, show)
    about = cast(OfScatter, chosen)
    return Scatter(many, about.measure, about.stages)


def table(many: Sequence[Named], show: str, chosen: Nothing) -> Table:
    """One of TABLES of these results. Raises Refusal where they do not hold it."""
    from workbench.panels.sacrifice.figure import coefficients

    return coefficients(many, cast(OfCoefficients, chosen).measure)
