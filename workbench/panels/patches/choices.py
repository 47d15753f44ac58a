"""What a person chose of a result, as far as the result has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.panels.patches.quantities import (
    ALL,
    SIMILARITY,
    Asked,
    heads_of,
    held,
    patch_in,
    queries_of,
    shape_of,
    stages_of,
    words_of,
)

if TYPE_CHECKING:
    from workbench.runs.result import Result

Choices = dict[str, Any]
"""What a person chose of a result: show, word, query, head, stage by its name, row and column from 1."""
PLACE = ("row", "column")


def first(result: Result) -> Choices:
    """What is shown before anybody chooses.

    The stage is half-way through the language model: there the lens reads something and attention is at work.
    """
    stages, words = stages_of(result), words_of(result)
    language = [stage for stage in stages if stage.startswith("llm")]
    row, col = divmod(patch_in(result, None), shape_of(result)[1])
    return {
        "show": SIMILARITY,
        "word": words[0] if words else "",
        "query": ALL,
        "head": ALL,
        "stage": language[len(language) // 2] if language else stages[-1],
        "row": row + 1,
        "column": col + 1,
    }


def fitting(result: Result, asked: Choices) -> Choices:
    """The choices as far as this result has them: some may be of an earlier one."""
    rows, cols = shape_of(result)
    has: Mapping[str, Sequence[Any]] = {
        "show": held(result),
        "word": words_of(result),
        "query": [number for _, number in queries_of(result)],
        "head": range(ALL, heads_of(result)),
        "stage": stages_of(result),
        "row": range(1, rows + 1),
        "column": range(1, cols + 1),
    }
    return first(result) | {name: value for name, value in asked.items() if value in has[name]}


def asked_by(result: Result, choices: Choices | None) -> tuple[Asked, str]:
    """What the choices ask of this result, and at which stage."""
    fit = fitting(result, choices or {})
    token = patch_in(result, (fit["row"], fit["column"]))
    return Asked(token, fit["show"], fit["word"], fit["query"], fit["head"]), fit["stage"]
