"""What of an attention result can stand in a figure: maps, shares over the layers, blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, cast

from pydantic import Field

from workbench.panels.attention.config import AttentionConfig
from workbench.panels.attention.reading import MEAN, MOST, Asked, Rule, Way
from workbench.panels.studies import Nothing

if TYPE_CHECKING:
    from workbench.panels.attention.chart import Named
    from workbench.runs.parts import Part

MAPS, SHARE, BLOCKS = "attention maps", "attention share", "attention blocks"
View = Literal["image", "thumbnail", "image, latent", "drawn image", "drawn image, latent"]


class OfRows(Nothing):
    """What may be chosen about the rows that are shown."""

    tokens: tuple[int, ...] = Field(
        default=(), description="of the answer, counted from 1; their mean is shown [all that are kept]"
    )
    weighted: bool = Field(default=False, description="weights times the length of what their values add")
    sinks: Rule = Field(default="keep", description="what becomes of sinks, by which rule")


class OfMaps(OfRows):
    """What may be chosen about a row of maps."""

    way: Way = Field(default="layer", description="one layer's attention, rollout to it, or flow")
    head: Annotated[int, Field(ge=1)] | Literal["mean", "max"] = Field(
        default="mean", description="of each layer, counted from 1, or mean or max over them"
    )
    view: View = Field(default="image", description="which image, and what of it")
    stage: str | None = Field(default=None, description='one that shall be shown, such as "llm 3"')


class OfShare(OfRows):
    """What may be chosen about shares over the layers."""

    kind: str = Field(
        default="", description="of tokens: image, drawn image, text … [all of one run; image of several]"
    )


class OfBlocks(Nothing):
    """What may be chosen about blocks."""

    stage: str | None = Field(default=None, description='one that shall be shown, such as "llm 3"')


SHOWS: dict[str, type[Nothing]] = {MAPS: OfMaps, SHARE: OfShare, BLOCKS: OfBlocks}
WIDE = (MAPS, BLOCKS)
TABLES: dict[str, type[Nothing]] = {}


def lacks(config: AttentionConfig, show: str, chosen: Nothing) -> str:
    """Why a run of these settings will not hold it, in a sentence; empty where it may."""
    if not config.image and show != SHARE:
        return "it is of a collection, of which only shares are kept."
    if isinstance(chosen, OfMaps) and chosen.way == "flow" and not config.flow:
        return "its flow is off."
    if isinstance(chosen, OfMaps) and chosen.view.startswith("drawn") and config.restore == "never":
        return "nothing is drawn, as its restore is never."
    if isinstance(chosen, OfRows) and any(not 1 <= k <= config.tokens for k in chosen.tokens):
        return f"the attention of its answer's first {config.tokens} tokens is kept."
    if isinstance(chosen, OfShare) and not config.image and _of_one(chosen):
        return "tokens, weights and sinks are chosen of one image; it is of a collection."
    return ""


def _of_one(chosen: OfRows) -> bool:
    return bool(chosen.tokens) or chosen.weighted or chosen.sinks != "keep"


def part(many: Sequence[Named], show: str, chosen: Nothing) -> Part:
    """One of SHOWS of these results. Raises Refusal where they do not hold it."""
    from workbench.errors import Refusal
    from workbench.panels.attention.paper import Blocks, Maps, Share
    from workbench.panels.attention.reading import of_image, tokens_of, views_of

    if isinstance(chosen, OfBlocks):
        return Blocks(many, stage=chosen.stage)
    rows = cast(OfRows, chosen)
    for name, result in many:
        if of_image(result) and any(k > len(tokens_of(result)) for k in rows.tokens):
            raise Refusal(f"{name or 'This run'} keeps {len(tokens_of(result))} tokens of its answer.")
        if isinstance(rows, OfMaps) and of_image(result) and rows.view not in views_of(result):
            raise Refusal(f"{name or 'This run'} has no {rows.view}; it has {', '.join(views_of(result))}.")
    asked = Asked(tuple(k - 1 for k in rows.tokens), weighted=rows.weighted, sinks=rows.sinks)
    if isinstance(rows, OfShare):
        return Share(many, asked, rows.kind)
    maps = cast(OfMaps, rows)
    head = {"mean": MEAN, "max": MOST}.get(str(maps.head), maps.head)
    view = views_of(many[0][1]).index(maps.view) if of_image(many[0][1]) else 0
    whole = Asked(asked.tokens, view, maps.way, _numbered(head), asked.weighted, asked.sinks)
    return Maps(many, whole, stage=maps.stage)


def _numbered(head: int | str) -> int:
    """A head from 0; MEAN and MOST as they are."""
    number = int(head)
    return number if number < 0 else number - 1
