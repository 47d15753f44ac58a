"""What of a patches result can stand in a figure: a row of maps of any quantity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

from pydantic import Field

from workbench.panels.patches.config import PatchesConfig
from workbench.panels.patches.quantities import ATTENTION, QUANTITIES, WORD
from workbench.panels.studies import Nothing

if TYPE_CHECKING:
    from workbench.panels.patches.figure import Named
    from workbench.runs.parts import Part, Table


class OfMaps(Nothing):
    """What may be chosen about a row of maps."""

    patch: tuple[int, int] | None = Field(
        default=None, description="its row and column, counted from 1 [the middle of the largest object]"
    )
    stage: str | None = Field(default=None, description='one that shall be shown, such as "llm 3"')
    scale: Literal["one", "each"] | None = Field(
        default=None, description="of colours: one for all maps, or each its own [norms: each; else one]"
    )
    lens: bool = Field(default=True, description="whether the lens's likeliest tokens stand beneath the maps")


class OfWords(OfMaps):
    """What may be chosen about maps of a word's probability."""

    word: str = Field(default="", description="one of the run's words [its first]")


MAPS = " maps"
SHOWS: dict[str, type[Nothing]] = {name + MAPS: OfWords if name == WORD else OfMaps for name in QUANTITIES}
WIDE = tuple(SHOWS)
TABLES: dict[str, type[Nothing]] = {}


def lacks(config: PatchesConfig, show: str, chosen: Nothing) -> str:
    """Why a run of these settings will not hold it, in a sentence; empty where it may."""
    if show == ATTENTION + MAPS and not config.attention_rows:
        return "its attention_rows are 0, so no attention is kept."
    return ""


def part(many: Sequence[Named], show: str, chosen: Nothing) -> Part:
    """One of SHOWS of these results. Raises Refusal where they do not hold it."""
    from workbench.errors import Refusal
    from workbench.panels.needs import known_stage
    from workbench.panels.patches.figure import Maps
    from workbench.panels.patches.quantities import Asked, held, patch_in, stages_of, words_of

    about, quantity = cast(OfMaps, chosen), show.removesuffix(MAPS)
    word = about.word if isinstance(about, OfWords) else ""
    for name, result in many:
        if quantity not in held(result):
            able = ", ".join(each + MAPS for each in held(result))
            raise Refusal(f"{name} holds no {show}; it has {able}.")
        if word and word not in words_of(result):
            raise Refusal(f"{name} was not asked for the word {word!r}: name it in the run's words.")
        if about.stage is not None:
            known_stage(about.stage, stages_of(result))
    return Maps(
        many,
        Asked(patch_in(many[0][1], about.patch), quantity, word),
        stage=about.stage,
        lens=about.lens,
        scale=about.scale,
    )


def table(many: Sequence[Named], show: str, chosen: Nothing) -> Table:
    """There is none."""
    raise ValueError(f"patches have no table {show!r}")
