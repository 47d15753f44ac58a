"""Greedy generation of a transformers model, token by token, stoppable between tokens."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from workbench.errors import Cancelled
from workbench.models.hf.family import Family, Inputs
from workbench.models.protocol import Answer, Token


class _Steps:
    """A logits processor that passes every step's scores on, and a criterion that stops when told."""

    def __init__(self, stop: Callable[[], bool]) -> None:
        self.stop, self.stopped = stop, False
        self.said: queue.Queue[Tensor | BaseException | None] = queue.Queue()

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if self.stop():
            self.stopped = True
            raise Cancelled
        best = scores.float().log_softmax(-1).max(-1)
        self.said.put(torch.stack([best.indices.double(), best.values.double()], dim=-1).cpu())
        return scores


def speak(
    family: Family, inputs: Inputs, max_new_tokens: int, stop: Callable[[], bool]
) -> Iterator[list[Answer]]:
    """Yield the answers so far, one a sequence, after every token. Raises Cancelled once `stop` says so."""
    from transformers import LogitsProcessorList

    steps = _Steps(stop)

    def run() -> None:
        try:
            with torch.inference_mode():
                family.generate(
                    **inputs,
                    do_sample=False,
                    num_beams=1,
                    max_new_tokens=max_new_tokens,
                    logits_processor=LogitsProcessorList([steps]),
                )
            steps.said.put(None)
        except BaseException as error:
            steps.said.put(error)

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    ends = family.ends
    tokens: list[list[Token]] = [[] for _ in range(len(inputs["input_ids"]))]
    over = [False] * len(tokens)
    while (step := steps.said.get()) is not None:
        if isinstance(step, BaseException):
            raise step
        for row, (number, logprob) in enumerate(step.tolist()):
            over[row] = over[row] or int(number) in ends
            if not over[row]:
                said = [*(t.id for t in tokens[row]), int(number)]
                text = family.words(said)[len(family.words(said[:-1])) :]
                tokens[row].append(Token(text, logprob, int(number)))
        yield [
            Answer(family.words([t.id for t in row]).strip(), tuple(row), sum(t.logprob for t in row))
            for row in tokens
        ]
    worker.join()
