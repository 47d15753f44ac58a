"""What is explained: the log-probability of an answer, of one of its words, or how far one answer leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.errors import Refusal
from workbench.models.protocol import Answer, Model, Prompt

Floats = NDArray[np.float64]
WHOLE = "the answer"


@dataclass(frozen=True)
class Target:
    """A sum over the log-probabilities of the tokens that are asked about.

    text: what it is called. weights: float64 (tokens,), those of all `Spoken.sequences` one after the other.
    difference: whether it compares two answers. far: of a drawing, the value with nothing of the image left.
    """

    text: str
    weights: Floats
    difference: bool = False
    far: float | None = None

    def value(self, rows: Floats) -> Floats:
        """Nats, (images,), of log-probabilities (images, tokens)."""
        return rows @ self.weights

    def likelihood(self, values: Floats) -> Floats:
        """The same as a probability 0 to 1: of the words; or of the first answer where there are only two.

        Of a drawing a likeness: 1 where nothing moved, 0 where it is as far as with nothing of the image.
        """
        if self.far is not None:
            return 1 - values / self.far
        return 1 / (1 + np.exp(-values)) if self.difference else np.exp(values)


@dataclass(frozen=True)
class Spoken:
    """An answer and, where two are compared, the other one, as token ids; what may be explained of them.

    sequences: the answers' token ids. text, versus: in words. targets: the whole first, then its words.
    """

    text: str
    versus: str
    sequences: tuple[tuple[int, ...], ...]
    targets: tuple[Target, ...]

    @property
    def tokens(self) -> int:
        """How many log-probabilities a row has."""
        return sum(map(len, self.sequences))


def spoken(
    model: Model,
    prompt: Prompt,
    said: Answer | None = None,
    *,
    answer: str = "",
    versus: str = "",
    words: int = 0,
    longest: int = 32,
) -> Spoken:
    """The answer that is explained; where none is given what the model `said`, or its greedy one.

    Raises:
        Refusal: the model says nothing, or the two answers are the same.
    """
    if answer:
        ids = tuple(model.pieces(answer))
        texts = model.spelled(ids)
    else:
        own = said or model.answer(prompt, max_new_tokens=longest)[0]
        answer, ids, texts = own.text, tuple(t.id for t in own.tokens), [t.text for t in own.tokens]
    if not ids:
        raise Refusal("The model answers nothing here. Name an answer to explain with --answer.")
    other = tuple(model.pieces(versus)) if versus else ()
    if other == ids:
        raise Refusal(f"Both answers are “{versus}”. Name another one with --versus.")
    if other:
        weights = np.concatenate([np.ones(len(ids)), -np.ones(len(other))])
        target = Target(f"“{answer}” rather than “{versus}”", weights, difference=True)
        return Spoken(answer, versus, (ids, other), (target,))
    whole = Target(WHOLE, np.ones(len(ids)))
    found = words_of(texts)
    own_words = [
        Target(text, np.isin(np.arange(len(ids)), places).astype(np.float64)) for text, places in found
    ]
    return Spoken(answer, "", (ids,), (whole, *(own_words[:words] if len(own_words) > 1 else ())))


def words_of(texts: Sequence[str]) -> list[tuple[str, list[int]]]:
    """Tokens' texts as words: each with the places of its tokens. A word begins where white space does."""
    found: list[tuple[str, list[int]]] = []
    for place, text in enumerate(texts):
        if found and not text[:1].isspace() and found[-1][0] and text.strip():
            before, places = found[-1]
            found[-1] = (before + text.rstrip(), [*places, place])
        elif text.strip():
            found.append((text.strip(), [place]))
    return found
