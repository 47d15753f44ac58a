"""What stands in words about the map that is shown, and about pinned ones beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.page import markup
from workbench.panels.patches.quantities import (
    QUANTITIES,
    SIMILARITY,
    WORD,
    Asked,
    held,
    said,
    stages_of,
    told,
    values,
    words_of,
)

if TYPE_CHECKING:
    from workbench.runs.result import Result

BOX = 384
"""Pixels of a pinned map's longer side."""


def caption(result: Result, stage: str, asked: Asked, ends: tuple[float, float]) -> str:
    """What the map shows, with its scale; of the patch itself the value."""
    from workbench.panels.overlay import scale_bar

    words = said(result, stage, asked)
    found = values(result, stage, asked)
    if found is None:
        return markup.remark(words)
    if asked.show != SIMILARITY:
        words += f" The outlined patch: {told(asked.show, float(found[asked.token]))}."
    return markup.scale(words, scale_bar(), *(told(asked.show, end) for end in ends))


def beside(
    name: str, other: Result, result: Result, stage: str, asked: Asked, ends: tuple[float, float]
) -> str:
    """The same place, stage and colours of a pinned result; a sentence where it has no such map."""
    from workbench.panels.patches.figure import asked_of
    from workbench.panels.patches.ladder import ladder, visible
    from workbench.panels.patches.maps import map_image

    if stage not in stages_of(other):
        return markup.strip(name, (), [f"It has no stage {stage}."])
    if asked.show not in held(other):
        return markup.strip(name, (), [f"It holds no {QUANTITIES[asked.show]}."])
    own = asked_of(result, asked, other)
    lines = []
    found = values(other, stage, own)
    if found is not None and asked.show != SIMILARITY:
        lines.append(f"the outlined patch: {told(own.show, float(found[own.token]))}")
    if asked.show == WORD and own.word != asked.word:
        lines.append(f"of “{own.word or words_of(other)[0]}”: “{asked.word}” was not followed there")
    read = next((rung.read for rung in ladder(other, own) if rung.stage == stage), ())
    if read:
        lines.append("the lens reads " + ", ".join(f"{visible(text)} {p:.2f}" for text, p in read[:3]))
    return markup.pinned(name, map_image(other, stage, own, ends), BOX, lines)


def answer(result: Result) -> str:
    """What the model answered, where it did."""
    if "answer" not in result.tables:
        return ""
    row = result.tables["answer"].iloc[0]
    asked = result.config["question"]
    to = f"Asked “{asked}”, the" if asked else "Without a question, the"
    return f"{to} model answers “{row['answer']}”, p {row['probability']:.2f}."
