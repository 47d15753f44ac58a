"""A question to a model: read in one way, whichever panel, command or recipe it comes from."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from workbench.errors import Refusal
from workbench.models import length


def tidy(text: str) -> str:
    """The text as a model is given it: one space between words, nothing around it. Lines stay lines."""
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())


Question = Annotated[str, AfterValidator(tidy)]
"""A question among what is chosen about a study, so that all studies ask the same words."""


def short_enough(question: str) -> None:
    """Raises Refusal where it is too long to be a question."""
    length.short_enough(question, "question")


def required(question: str) -> None:
    """Raises Refusal where there is none, or it is too long to be one."""
    short_enough(question)
    if not question.strip():
        raise Refusal("There is no question. Write one: the model has nothing to answer.")
