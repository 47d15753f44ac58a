"""What of attributions can stand in a figure: maps, their agreement, where methods point, two tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from pydantic import Field

from workbench.panels.attribution.config import AttributionConfig, Method
from workbench.panels.attribution.names import ALL_LAYERS
from workbench.panels.studies import Nothing

if TYPE_CHECKING:
    from workbench.panels.attribution.chart import Named
    from workbench.runs.parts import Part, Table


class OfTarget(Nothing):
    """Which words are explained."""

    word: int = Field(default=0, ge=0, description="a word of the answer, counted from 1; 0: all of it")


class OfMaps(OfTarget):
    """What may be chosen about a grid of maps."""

    stage: str = Field(default=ALL_LAYERS, description='of methods with layers, such as "llm 3"')
    methods: tuple[Method, ...] = Field(default=(), description="whose maps, in this order [all of the run]")
    curves: bool = Field(default=True, description="whether deletion and insertion curves stand beneath")


MAPS, AGREEMENT, POINTING, ENERGY, FAITHFULNESS = "maps", "agreement", "pointing", "energy", "faithfulness"
SHOWS: dict[str, type[Nothing]] = {MAPS: OfMaps, AGREEMENT: OfTarget, POINTING: Nothing, ENERGY: Nothing}
WIDE = (MAPS,)
TABLES: dict[str, type[Nothing]] = {POINTING: Nothing, FAITHFULNESS: OfTarget}


def lacks(config: AttributionConfig, show: str, chosen: Nothing) -> str:
    """Why a run of these settings will not hold it, in a sentence; empty where it may."""
    if show in (POINTING, ENERGY):
        return "it is of one image, and pointing is a mean over a collection." if config.image else ""
    if not config.image:
        return "it is of a collection, of which no maps are kept."
    absent = [name for name in getattr(chosen, "methods", ()) if name not in config.methods]
    return f"its methods lack {', '.join(absent)}." if absent else ""


def part(many: Sequence[Named], show: str, chosen: Nothing) -> Part:
    """One of SHOWS of these results. Raises Refusal where they do not hold it."""
    from workbench.panels.attribution.paper import Agreement, Maps, Pointing

    if show == MAPS:
        about = cast(OfMaps, chosen)
        return Maps(many, about.word, about.stage, about.methods, curves=about.curves)
    if show == AGREEMENT:
        return Agreement(many, cast(OfTarget, chosen).word)
    return Pointing(many, show)


def table(many: Sequence[Named], show: str, chosen: Nothing) -> Table:
    """One of TABLES of these results. Raises Refusal where they do not hold it."""
    from workbench.panels.attribution.table import faithfulness, pointing

    return pointing(many) if show == POINTING else faithfulness(many, cast(OfTarget, chosen).word)
