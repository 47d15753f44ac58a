"""Maps of a finished result, drawn over their picture, and what they show in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.panels.attention.reading import (
    DRAWING,
    MEAN,
    MOST,
    TOLD_BY,
    Asked,
    flagged,
    picture_of,
    tokens_of,
    values,
    views_of,
)
from workbench.panels.overlay import Image, shaded

if TYPE_CHECKING:
    from workbench.runs.result import Result

SPACE = "\N{NO-BREAK SPACE}"


def map_image(result: Result, stage: str, asked: Asked, span: tuple[float, float]) -> Image:
    """The map in cividis over the grey picture, enlarged by a whole number; sinks are crossed out."""
    found = values(result, stage, asked)
    crossed = flagged(result, stage, asked) if asked.tokens != (DRAWING,) else None
    boxes = result.arrays[f"boxes_{asked.view:02d}"].astype(np.float32)
    return shaded(picture_of(result, asked.view), boxes, found, span, marked=crossed)


def source(result: Result, asked: Asked) -> str:
    """From what the attention is, in words."""
    if asked.tokens == (DRAWING,):
        t = float(result.config["drawing_t"])
        return f"the drawing at t {t:.2f}, mean over its cells"
    texts = tokens_of(result)
    picked = asked.tokens or tuple(range(len(texts)))
    said = "”, “".join(texts[k].strip() or "space" for k in picked)
    return f"“{said}”" + (f", mean of {len(picked)} tokens" if len(picked) > 1 else "")


def heads_in_words(asked: Asked) -> str:
    """Which head, or what over all of them."""
    return {MEAN: "mean over heads", MOST: "largest of the heads"}.get(asked.head, f"head {asked.head + 1}")


def percent(value: float) -> str:
    """Per cent in two digits; what is nearly nothing as a bound."""
    if not np.isfinite(value):
        return "–"
    if 0 < value < 0.01:
        return f"< 0.01{SPACE}%"
    return (f"{value:.2g}" if value < 10 else f"{value:.0f}") + f"{SPACE}%"


def said(result: Result, stage: str, asked: Asked) -> str:
    """What a map shows, in two or three sentences."""
    whence = source(result, asked)
    total = float(np.nansum(values(result, stage, asked)))
    where = "the image" if asked.tokens == (DRAWING,) else f"the {views_of(result)[asked.view]}"
    if asked.way == "flow":
        return (
            f"Maximum flow from each patch to the query, through all layers up to the last; {whence}. Of the "
            "most that a query can take; flows of several patches do not add up."
        )
    if asked.way == "rollout":
        words = f"Rollout from what enters the language model to {stage}; {whence}."
    else:
        weighted = ", weighted by the length of what values add" if asked.weighted else ""
        words = f"Attention in the layer that writes {stage}; {whence}; {heads_in_words(asked)}{weighted}."
    words += f" All patches of {where} together get {percent(total)}."
    if asked.tokens == (DRAWING,):
        return words
    return words + _sinks(result, stage, asked)


def _sinks(result: Result, stage: str, asked: Asked) -> str:
    if asked.sinks == "keep":
        return ""
    crossed = flagged(result, stage, asked)
    before = values(result, stage, _kept(asked))
    count, took = int(crossed.sum()), float(np.nansum(before[crossed]))
    if not count:
        return f" No patch is a sink here by {TOLD_BY[asked.sinks]}."
    by = TOLD_BY[asked.sinks]
    return f" {count} of {len(crossed)} patches are sinks by {by}, crossed out; they got {percent(took)}."


def _kept(asked: Asked) -> Asked:
    return Asked(asked.tokens, asked.view, asked.way, asked.head, asked.weighted)
