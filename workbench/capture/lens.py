"""What a model's own final norm and head read at tokens of any language stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.lens import lens
from workbench.models.protocol import Model, never


@dataclass(frozen=True)
class Reading:
    """What the lens reads at the tokens of one stage; probabilities are shares of the whole vocabulary.

    ids: int32 (tokens, k), the likeliest tokens, best first; probabilities: float32 (tokens, k), 0..1.
    entropy: float32 (tokens,) in nats. words: float32 (tokens, words), the probability of each word asked.
    """

    ids: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    entropy: NDArray[np.float32]
    words: NDArray[np.float32]


def readings(
    model: Model,
    states: Sequence[NDArray[np.floating[Any]]],
    *,
    top: int,
    words: Mapping[str, Sequence[int]],
    stop: Callable[[], bool] = never,
) -> Iterator[Reading]:
    """Read each of these states (tokens, width), stage after stage, through the model's norm and head.

    Logits stand for a few hundred tokens at a time, on the model's device, whatever the number of tokens.

    Args:
        model: an open model.
        states: of language stages, as they were captured.
        top: how many of the likeliest tokens to keep; a smaller vocabulary has fewer.
        words: by name, the tokens of which one stands for the word; their probabilities are added.
        stop: asked between stages.

    Raises:
        Cancelled: once `stop` says so.
    """
    import torch

    from workbench.errors import go_on

    flat = [number for tokens in words.values() for number in tokens]
    ends = np.cumsum([len(tokens) for tokens in words.values()], dtype=int)

    def head(x: NDArray[np.float32]) -> torch.Tensor:
        return model.readout(torch.from_numpy(x))

    for array in states:
        go_on(stop)
        x = np.ascontiguousarray(array, dtype=np.float32)
        with torch.inference_mode():
            vocabulary = head(x[:1]).shape[-1]
            found = lens(x, head, top=min(top, vocabulary), words=flat)
        each = np.split(np.exp(found.chosen), ends[:-1], axis=1) if flat else []
        told = [part.sum(axis=1) for part in each]
        yield Reading(
            found.ids.astype(np.int32),
            np.exp(found.logprobs),
            found.entropy,
            np.stack(told, axis=1) if told else np.zeros((len(x), 0), np.float32),
        )
