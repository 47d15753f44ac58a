"""What the head reads at a token that was never meant to be read: the logit lens.

States of any layer go through the model's own final norm and head (nostalgebraist, 2020). It misleads where a
layer keeps its contents in another basis than the last one does: early layers read as noise though a trained
probe finds plenty in them (Belrose et al., 2023, on the tuned lens). So what it reads at a late layer says
something; that it reads nothing at an early one does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 256
"""Tokens whose logits are held at once: with 150,000 words in float32 they take 150 MB."""
ROWS = 16
"""Of them in double precision: what is sorted and summed stays small beside them."""


@dataclass(frozen=True)
class Lens:
    """What is read at each token of N.

    ids: int64 (N, k), the likeliest words, best first; logprobs: float32 (N, k), theirs in nats. entropy:
    float32 (N,) in nats, 0 … log(vocabulary). chosen: float32 (N, words), log-probability of each word asked.
    """

    ids: NDArray[np.int64]
    logprobs: NDArray[np.float32]
    entropy: NDArray[np.float32]
    chosen: NDArray[np.float32]


def lens(
    states: ArrayLike,
    head: Callable[[NDArray[np.float32]], NDArray[np.float32] | Tensor],
    *,
    top: int = 5,
    words: Sequence[int] = (),
    chunk: int = CHUNK,
) -> Lens:
    """Read states (N, width) through `head`, which turns (n, width) into logits (n, vocabulary).

    Logits that are a tensor are reduced on the device that they are on: only what is kept leaves it.

    Raises:
        ValueError: for another shape, or a `top` or word that the vocabulary does not have.
    """
    x = np.asarray(states, dtype=np.float32)
    if x.ndim != 2 or not len(x):
        raise ValueError(f"states must have shape (one or more tokens, width), not {x.shape}")
    parts = []
    for first in range(0, len(x), chunk):
        logits = head(x[first : first + chunk])
        parts += [_read(logits[row : row + ROWS], top, words) for row in range(0, len(logits), ROWS)]
    return Lens(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _read(
    logits: NDArray[np.float32] | Tensor, top: int, words: Sequence[int]
) -> tuple[NDArray[np.generic], ...]:
    import torch

    z = torch.as_tensor(logits).detach().to(torch.float32)
    vocabulary = z.shape[-1]
    if not 1 <= top <= vocabulary or any(not 0 <= word < vocabulary for word in words):
        raise ValueError(f"a vocabulary of {vocabulary} has no {top} best, or lacks a word of {list(words)}")
    z = z.log_softmax(-1)
    # Of equally likely words the first of the vocabulary comes first: by number, then, stably, by value.
    ids = z.topk(top, dim=-1).indices.sort(dim=-1).values
    order = z.gather(-1, ids).sort(dim=-1, descending=True, stable=True).indices
    ids = ids.gather(-1, order)
    found = (ids, z.gather(-1, ids), torch.special.entr(z.exp()).sum(-1), z[:, list(words)])
    return tuple(part.cpu().numpy() for part in found)


_WORD = re.compile(r"[ ▁Ġ]?[^\W\d_]{2,}")


def reads_as_word(text: str) -> bool:
    """Whether a token's own text is letters alone, two or more, with or without the mark of a word's start.

    PRe (arXiv 2603.20808) says that visual tokens of the last layer read as frequent tokens without meaning
    ("_in", ".", "<0x0A>"); how many read as words is our count of it. Frequent function words count as words.
    """
    return _WORD.fullmatch(text) is not None


def share_of_words(texts: Sequence[str]) -> float:
    """Share (0..1) of tokens whose likeliest word reads as one; NaN without tokens."""
    return float(np.mean([reads_as_word(text) for text in texts])) if texts else float("nan")
