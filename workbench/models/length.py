"""How long a text may be that is given to a model."""

from __future__ import annotations

from workbench.errors import Refusal

MOST_CHARACTERS = 4000
"""Of a question, of an answer that is scored, and of words to draw from."""


def short_enough(text: str, called: str = "text") -> None:
    """Raises Refusal where a text, by what it is called in the sentence, is longer than that."""
    if len(text) > MOST_CHARACTERS:
        raise Refusal(
            f"The {called} has {len(text):,} characters; at most {MOST_CHARACTERS:,} are read. Shorten it."
        )
